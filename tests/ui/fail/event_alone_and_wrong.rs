use callbacks::{callback_events, callback_handler};

#[callback_events]
mod store {
    pub struct Sold {
        pub item: String,
    }
}

struct Till;

#[callback_handler(events = store)]
impl Till {
    fn on_sold(&self, item: &str) {
        println!("{item}");
    }
}

fn main() {
    let _ = Till;
}
