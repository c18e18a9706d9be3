//! A handler that is called for less than it has methods for.

use std::fmt;
use std::sync::Arc;

use super::{Answer, Deliver, Outcome};
use crate::{BoxFuture, EventSet, Interests, Run};

/// What a handler delivers to that is called for less than it has methods for.
pub struct Narrowed<S: EventSet> {
    pub(crate) delivery: Arc<dyn Deliver<S> + Send + Sync>,
    pub(crate) to: Interests,
}

impl<S: EventSet> Deliver<S> for Narrowed<S> {
    fn name(&self) -> &'static str {
        self.delivery.name()
    }

    fn method(&self, event: u32) -> &'static str {
        self.delivery.method(event)
    }

    fn interests(&self) -> Interests {
        self.delivery.interests().intersection(self.to)
    }

    fn async_interests(&self) -> Interests {
        self.delivery.async_interests().intersection(self.to)
    }

    fn deliver(&self, run: &Run<'_>, event: &S::Ref<'_>) -> Outcome {
        self.delivery.deliver(run, event)
    }

    fn deliver_async<'a, 'e: 'a>(
        &'a self,
        run: &'a Run<'e>,
        event: &'a S::Ref<'e>,
    ) -> BoxFuture<'a, Outcome> {
        self.delivery.deliver_async(run, event)
    }

    fn ask(&self, run: &Run<'_>, event: &S::Ref<'_>) -> Answer<S> {
        self.delivery.ask(run, event)
    }

    fn ask_async<'a, 'e: 'a>(
        &'a self,
        run: &'a Run<'e>,
        event: &'a S::Ref<'e>,
    ) -> BoxFuture<'a, Answer<S>> {
        self.delivery.ask_async(run, event)
    }
}

impl<S: EventSet> fmt::Debug for Narrowed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Narrowed")
            .field("delivery", &self.delivery.name())
            .field("to", &self.to)
            .finish()
    }
}
