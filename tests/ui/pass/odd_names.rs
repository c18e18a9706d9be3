//! What a lint says of a name is said of the user's item alone, and can be allowed there.
#![deny(warnings)]

use callbacks::{Callbacks, Reply, callback_events, callback_handler};

#[callback_events]
mod store {
    #[allow(non_snake_case)]
    pub struct Sold<'a> {
        pub itemName: &'a str,
    }
    #[expect(non_camel_case_types)]
    #[event(reply = super::Verdict)]
    pub struct order_placed<'a> {
        pub r#type: &'a str,
    }
}

pub struct Verdict(bool);

impl<E> Reply<E> for Verdict {
    fn go_on() -> Self {
        Self(true)
    }

    fn stop(_: &str) -> Self {
        Self(false)
    }

    fn settle(self, _: &mut E) -> std::ops::ControlFlow<Self> {
        if self.0 {
            std::ops::ControlFlow::Continue(())
        } else {
            std::ops::ControlFlow::Break(self)
        }
    }
}

#[callback_events]
pub mod market {
    #[deprecated]
    pub struct Bought;
    pub(crate) struct Sold;
}

struct Buyer;

#[callback_handler(events = market)]
impl Buyer {
    #[cfg_attr(all(), allow(deprecated))]
    fn on_bought(&self) {}

    fn on_sold(&self) {}
}

struct Clerk;

#[callback_handler(events = store)]
impl Clerk {
    #[expect(non_snake_case)]
    fn on_sold(&self, itemName: &str) {
        let _ = itemName;
    }

    fn on_order_placed(&self, r#type: &str) -> Verdict {
        Verdict(r#type.is_empty())
    }
}

fn main() {
    let _callbacks = Callbacks::new().with(Clerk).with(Buyer);
}
