use callbacks::callback_events;

#[callback_events]
mod shop {
    pub struct Events;
    pub type ByHand = u32;
    pub mod owned {}
    pub struct Closed;
}

fn main() {
    let _ = shop::Closed;
}
