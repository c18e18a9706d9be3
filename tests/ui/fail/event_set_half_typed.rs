use callbacks::callback_events;

#[callback_events]
mod store {
    pub struct Sold {
        pub count: u32 pub price: u32,
    }
}

fn main() {}
