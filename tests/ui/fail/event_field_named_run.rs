use callbacks::callback_events;

#[callback_events]
mod shop {
    pub struct Sold {
        pub run: u32,
        pub r#event: u32,
    }
    pub struct Closed;
}

fn main() {
    let _ = shop::Closed;
}
