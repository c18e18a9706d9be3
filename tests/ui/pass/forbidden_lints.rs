//! The glue allows no lint that the user might have forbidden.
#![forbid(
    deprecated,
    non_camel_case_types,
    non_snake_case,
    private_interfaces,
    unreachable_patterns
)]

use callbacks::{Callbacks, callback_events, callback_handler};

#[callback_events]
pub mod store {
    pub struct Sold<'a> {
        pub item: &'a str,
    }
}

pub struct Clerk;

#[callback_handler(events = store)]
impl Clerk {
    fn on_sold(&self, item: &str) {
        let _ = item;
    }
}

fn main() {
    let _callbacks = Callbacks::new().with(Clerk);
}
