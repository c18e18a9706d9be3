use std::ops::ControlFlow;

use callbacks::{Reply, callback_events, callback_handler};

struct Approver;

#[callback_handler]
impl Approver {
    fn on_tool_request(&self, input: &str) {
        let _ = input;
    }

    async fn on_llm_request(&self) {}
}

/// Named by the event from inside the module.
enum Verdict {
    Go,
    No,
}

#[callback_events]
mod desk {
    #[event(reply = super::Verdict)]
    pub(crate) struct Order<'a> {
        pub(crate) id: &'a str,
    }
}

impl Reply<desk::owned::Order> for Verdict {
    fn go_on() -> Self {
        Self::Go
    }

    fn stop(_: &str) -> Self {
        Self::No
    }

    fn settle(self, _: &mut desk::owned::Order) -> ControlFlow<Self> {
        ControlFlow::Break(self)
    }
}

struct Clerk;

#[callback_handler(events = desk)]
impl Clerk {
    fn on_order(&self) {}
}

fn main() {}
