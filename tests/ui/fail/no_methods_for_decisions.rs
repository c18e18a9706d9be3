use std::ops::ControlFlow;

use callbacks::{Decision, Reply, callback_events, callback_handler};

#[callback_events]
mod desk {
    #[event(reply = ::callbacks::Decision<::std::string::String, Vec<()>>)]
    pub struct Order<'a> {
        pub id: &'a str,
    }
}

impl Reply<desk::owned::Order> for Decision<String, Vec<()>> {
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
