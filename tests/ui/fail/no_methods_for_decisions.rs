use std::ops::ControlFlow;

use callbacks::{Decision, Reply, callback_events, callback_handler};

#[callback_events]
mod desk {
    #[event(reply = ::callbacks::Decision<
        ::std::boxed::Box<dyn ::std::fmt::Debug + Send + Sync>,
        <u8 as ::std::ops::Add<u8>>::Output,
    >)]
    pub struct Order<'a> {
        pub id: &'a str,
    }
}

impl Reply<desk::owned::Order> for Decision<Box<dyn std::fmt::Debug + Send + Sync>, u8> {
    fn go_on() -> Self {
        Self::Continue
    }

    fn stop(reason: &str) -> Self {
        Self::Stop(reason.to_owned())
    }

    fn settle(self, _: &mut desk::owned::Order) -> ControlFlow<Self> {
        ControlFlow::Break(self)
    }
}

struct Clerk;

#[callback_handler(events = desk)]
impl Clerk {}

fn main() {}
