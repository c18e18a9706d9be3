#![deny(warnings)]

use callbacks::callback_handler;

#[callbacks::callback_events]
mod market {
    #[deprecated = "use `Sold`"]
    pub struct Bought;
}

struct Printer;

#[callback_handler(events = market)]
impl Printer {
    fn on_bought(&self) {}
}

fn main() {}
