use callbacks::callback_events;

#[callback_events]
mod shop {
    pub struct Sold<'a, 'b> {
        pub item: &'a str,
        pub buyer: &'b str,
    }
    pub struct Closed;
}

fn main() {
    let _ = shop::Closed;
}
