struct Clerk;

#[shop::callback_handler(events = shop::trade)]
impl Clerk {
    fn on_refund(&self) {}
}

fn main() {}
