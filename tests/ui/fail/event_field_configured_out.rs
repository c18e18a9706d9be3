use callbacks::callback_events;

#[callback_events]
mod shop {
    pub struct Sold {
        #[cfg(all())]
        pub count: u32,
    }
    pub struct Closed;
}

fn main() {
    let _ = shop::Closed;
}
