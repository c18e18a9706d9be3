use callbacks::callback_events;

#[callback_events]
mod shop {}

#[callback_events]
struct Sold;

fn main() {}
