use std::ops::ControlFlow;

use callbacks::{Callbacks, EmitError, Reply, callback_events};

#[callback_events]
mod shop {
    pub struct Closed {}

    #[event(reply = super::Verdict)]
    pub struct Order<'a> {
        pub id: &'a str,
    }
}

struct Verdict;

impl Reply<shop::owned::Order> for Verdict {
    fn go_on() -> Self {
        Self
    }

    fn stop(_: &str) -> Self {
        Self
    }

    fn settle(self, _: &mut shop::owned::Order) -> ControlFlow<Self> {
        ControlFlow::Continue(())
    }
}

async fn emitted(callbacks: &Callbacks) -> Result<(), EmitError> {
    callbacks.emit(shop::Order { id: "7" }).await
}

async fn asked(callbacks: &Callbacks) {
    let _ = callbacks.ask(shop::Closed {}).await;
}

fn main() {}
