extern crate callbacks as cb;

#[cb::callback_events(crate = self::cb)]
mod shop {
    pub struct Sold<'a> {
        pub item: &'a str,
    }
}

mod near {
    #[super::cb::callback_events(serde, crate = super::cb)]
    pub mod bank {
        pub struct Paid {}
    }
}

fn main() {}
