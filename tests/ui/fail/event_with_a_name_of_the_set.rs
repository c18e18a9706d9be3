use callbacks::callback_events;

#[callback_events]
mod shop {
    pub struct Events;
    pub struct Closed;
}

fn main() {
    let _ = shop::Closed;
}
