use callbacks::callback_events;

#[callback_events(serde)]
mod shop {
    pub struct Sold {
        pub item: &'static str,
    }
}

fn main() {}
