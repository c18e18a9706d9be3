use callbacks::{callback_events, callback_handler};

#[callback_events]
mod clock {
    pub struct Tick;
}

struct Printer;

#[callback_handler(events = clock)]
impl Printer {
    fn on_tick(&self, minute: u32) {
        print!("{minute}");
    }
}

fn main() {}
