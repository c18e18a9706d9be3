use std::cell::Cell;

use callbacks::{Callbacks, Exclusive, callback_events, callback_handler};

#[callback_events]
mod store {
    pub struct Sold {
        pub item: String,
    }
    pub struct Closed;
}

struct Till(Cell<u32>);

#[callback_handler(events = store)]
impl Till {
    fn on_sold(&mut self) {}

    fn on_closed(&self) {}
}

struct Counter(Cell<u32>);

#[callback_handler(events = store)]
impl Counter {
    fn on_closd(&mut self) {}
}

fn main() {
    let _ = Callbacks::new()
        .with(Exclusive::new(Till(Cell::new(0))))
        .with(Exclusive::new(Counter(Cell::new(0))));
}
