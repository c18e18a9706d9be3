use callbacks::{Callbacks, callback_events, callback_handler};

#[callback_events]
mod store {
    pub struct Sold;
}

#[callback_events]
mod till {
    pub struct Opened;
}

struct Listed;

#[callback_handler(events = [store, till])]
impl Listed {
    fn on_sold(&self) {}
    fn on_opened(&self) {}
}

struct Behind;

#[callback_handler(events = store, till)]
impl Behind {
    fn on_sold(&self) {}
    fn on_opened(&self) {}
}

struct Again;

#[callback_handler(events = store, events = till)]
impl Again {
    fn on_sold(&mut self) {}
    fn on_opened(&mut self) {}
}

fn main() {
    let callbacks = Callbacks::new().with(Listed).with(Behind);
    let _ = callbacks.with(callbacks::Exclusive::new(Again));
}
