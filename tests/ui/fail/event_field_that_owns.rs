use callbacks::callback_events;

#[callback_events]
mod shop {
    pub struct Sold {
        pub item: String,
        pub buyer: std::sync::Arc<str>,
    }
    pub struct Closed;
}

fn main() {
    let _ = shop::Closed;
}
