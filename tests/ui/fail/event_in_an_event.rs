use callbacks::callback_events;

#[callback_events]
mod shop {
    pub struct Nested {
        pub sold: Sold,
    }
    pub struct Sold;
}

fn main() {
    let _ = shop::Sold;
}
