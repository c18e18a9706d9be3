use callbacks::{callback_events, callback_handler};

#[callback_events]
mod store {
    struct Sold<'a> {
        pub item: &'a str,
    }
    pub(self) struct Bought;
    pub struct Closed;
}

struct Till;

#[callback_handler(events = store)]
impl Till {
    fn on_sold(&self, item: &str) {
        println!("{item}");
    }
}

fn main() {
    let _ = (store::Closed, Till);
}
