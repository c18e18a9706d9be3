//! A handler as it should be.

struct Clerk;

#[shop::callback_handler(events = shop::trade)]
impl Clerk {
    fn on_sold(&self, item: &str, count: u32) {
        let _ = (item, count);
    }

    fn on_refund(&self) -> shop::Verdict {
        shop::Verdict::Yes
    }
}

fn main() {
    drop(shop::Callbacks::new().with(Clerk));
}
