use callbacks::callback_events;

#[callback_events]
mod shop {
    pub struct Sold<T> {
        pub item: T,
    }
    pub struct Closed;
}

fn main() {
    let _ = shop::Closed;
}
