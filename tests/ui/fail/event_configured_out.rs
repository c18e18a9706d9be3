use callbacks::callback_events;

#[callback_events]
mod shop {
    #[cfg(all())]
    pub struct Sold;
    #[cfg_attr(all(), cfg(all()))]
    pub struct Bought;
    pub struct Closed;
}

fn main() {
    let _ = shop::Closed;
}
