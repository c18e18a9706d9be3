use callbacks::callback_events;

#[callback_events]
mod shop {
    #[cfg(all())]
    pub struct Sold;
    pub struct Closed;
}

fn main() {
    let _ = shop::Closed;
}
