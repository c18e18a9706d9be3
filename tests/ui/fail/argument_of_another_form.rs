use callbacks::{Callbacks, callback_events, callback_handler};

#[callback_events]
mod store {
    pub struct Sold;
}

struct Called;

#[callback_handler(events(store))]
impl Called {
    fn on_sold(&self) {}
}

struct Alone;

#[callback_handler(store)]
impl Alone {
    fn on_sold(&self) {}
}

struct Path;

#[callback_handler(self::store)]
impl Path {
    fn on_sold(&self) {}
    fn on_closed(&self) {}
}

struct Text;

#[callback_handler(events = "store")]
impl Text {
    fn on_sold(&self) {}
}

struct Event;

#[callback_handler(events = store::Sold)]
impl Event {
    fn on_sold(&self) {}
}

struct Nothing;

#[callback_handler(events = )]
impl Nothing {
    fn on_sold(&self) {}
}

struct Other;

#[callback_handler(set = store)]
impl Other {
    fn on_sold(&self) {}
}

fn main() {
    let callbacks = Callbacks::new().with(Called).with(Alone).with(Path);
    let _ = callbacks.with(Text).with(Event).with(Nothing).with(Other);
}
