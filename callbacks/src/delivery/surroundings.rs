//! The surroundings of an emission, which a method that is called elsewhere finds as if it were called there.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tokio::runtime::Handle;
use tracing::Span;

use super::blocking::{is_alone, work_alone};
use super::call::contained;
use crate::ambient::{self, Ambient};

/// What an emission is in.
#[derive(Clone)]
pub(crate) struct Surroundings {
    runtime: Option<Handle>,
    /// Whether tasks go to our own runtime instead, for that one stands still.
    alone: bool,
    span: Span,
    ambient: Option<Ambient>,
}

impl Surroundings {
    pub(crate) fn here() -> Self {
        Self {
            runtime: Handle::try_current().ok(),
            alone: is_alone(),
            span: Span::current(),
            ambient: ambient::current(),
        }
    }

    /// Where the tasks of handlers go; `None` is our own runtime.
    pub(super) fn runtime_for_tasks(&self) -> Option<Handle> {
        self.runtime.clone().filter(|_| !self.alone)
    }

    /// Calls it as if it were called there.
    pub(super) fn call<R>(&self, call: impl FnOnce() -> R) -> R {
        let _alone = self.alone.then(work_alone);
        let _runtime = self.runtime.as_ref().map(Handle::enter);
        in_span(&self.span, || ambient::call_in(self.ambient.clone(), call))
    }

    /// The future, as if it were polled there; whichever runtime polls it.
    pub(crate) fn around<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        InSpan {
            future: ambient::scope(self.ambient, future),
            span: self.span,
        }
    }
}

pin_project! {
    struct InSpan<F> {
        #[pin]
        future: F,
        span: Span,
    }
}

impl<F: Future> Future for InSpan<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        in_span(this.span, || this.future.poll(cx))
    }
}

/// Calls it in the span, whatever the subscriber does where that is entered and left.
fn in_span<R>(span: &Span, call: impl FnOnce() -> R) -> R {
    let entered = catch_unwind(AssertUnwindSafe(|| span.enter()));
    let called = catch_unwind(AssertUnwindSafe(call));
    // Not quietly: a subscriber is no handler, and what it emits here is not put off.
    contained(|| drop(entered));
    called.unwrap_or_else(|panic| resume_unwind(panic))
}
