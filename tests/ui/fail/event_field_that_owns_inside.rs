use callbacks::callback_events;

#[callback_events]
mod shop {
    pub struct Sold {
        pub item: Option<String>,
        pub line: (String, u32),
        pub prices: [Vec<u32>; 2],
        pub seen: std::collections::HashSet<u32>,
    }
    pub struct Closed;
}

fn main() {
    let _ = shop::Closed;
}
