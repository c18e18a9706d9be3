use callbacks::callback_events;

#[callback_events]
mod shop {
    pub struct Nested {
        pub sold: Sold,
        pub perhaps: Option<Sold>,
    }
    pub struct Borrowed<'a> {
        pub sold: &'a Sold,
        pub all: Option<&'a [Sold]>,
    }
    pub struct Sold;
}

fn main() {
    let _ = shop::Sold;
}
