use callbacks::callback_events;

#[callback_events]
mod store {
    pub struct Sold<'a> {
        pub item: &'a str,
    }
    pub struct Sold {
        pub count: u32,
    }
}

fn main() {
    let _ = store::Sold { item: "tea" };
}
