use callbacks::callback_events;

#[callback_events]
mod shop {
    #[derive(Debug, PartialEq, std::clone::Clone)]
    pub struct Sold<'a> {
        pub item: &'a str,
    }
    pub struct Closed;
}

fn main() {
    let _ = shop::Closed;
}
