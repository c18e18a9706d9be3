//! Calling handlers. Whatever one does, an error or a panic of it ends here: it is logged, and
//! neither the run nor another handler notices, unless the handler is one whose errors are raised.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::dispatcher::Entry;
use crate::handler::Outcome;
use crate::{BoxError, BoxFuture, EmitError, EventSet, Run, RunInfo};

/// A failure that is to reach the emitter, of the handler with this id.
pub(super) struct Failure {
    pub(super) id: usize,
    pub(super) error: EmitError,
}

/// The failures of one emission that are to reach the emitter: next to nothing while there are
/// none.
#[derive(Default)]
#[allow(
    clippy::box_collection,
    reason = "a pointer that is null costs less than a `Vec`"
)]
pub(super) struct Failures(Option<Box<Vec<Failure>>>);

impl From<Option<Failure>> for Failures {
    fn from(failure: Option<Failure>) -> Self {
        Self(failure.map(|failure| Box::new(vec![failure])))
    }
}

impl Failures {
    pub(super) fn add(&mut self, others: Self) {
        if let Some(others) = others.0 {
            self.0.get_or_insert_default().extend(*others);
        }
    }

    /// That of the handler which comes first in `order`.
    #[inline]
    pub(super) fn raise(self, order: &[usize]) -> Result<(), Box<EmitError>> {
        match self.0 {
            Some(failures) => first(*failures, order).map_or(Ok(()), Err),
            None => Ok(()),
        }
    }
}

#[cold]
fn first(mut failures: Vec<Failure>, order: &[usize]) -> Option<Box<EmitError>> {
    failures.sort_by_key(|failure| order.iter().position(|id| *id == failure.id));
    let mut failures = failures.into_iter();
    let first = failures.next();
    failures.for_each(|failure| quietly(|| drop(failure)));
    first.map(|failure| Box::new(failure.error))
}

/// Calls the sync methods, in order.
pub(super) fn call_all<S: EventSet>(
    entries: &[Arc<Entry<S>>],
    run: &Run<'_>,
    event: &S::Ref<'_>,
    failures: &mut Failures,
) {
    if entries.is_empty() {
        return;
    }
    let call = |entry: &Entry<S>| entry.delivery.deliver(run, event);
    each(entries, run, S::index(event), failures, call);
}

/// Polls the async methods once, in order. Those that are not ready are left to wait for.
pub(super) fn poll_all<'a, 'e: 'a, S: EventSet>(
    entries: &'a [Arc<Entry<S>>],
    run: &'a Run<'e>,
    event: &'a S::Ref<'e>,
    cx: &mut Context<'_>,
    failures: &mut Failures,
    mut left: impl FnMut(AsyncCall<'a, S>),
) {
    let index = S::index(event);
    each(entries, run, index, failures, |entry| {
        let mut future = entry.delivery.deliver_async(run, event);
        if let Poll::Ready(outcome) = future.as_mut().poll(cx) {
            return outcome;
        }
        left(AsyncCall {
            entry,
            info: run.info(),
            event: index,
            future: Some(future),
        });
        Ok(())
    });
}

/// Calls one after another, whatever each does. Panics are caught around all at once: to catch
/// those of each costs as much as to call it.
fn each<'a, S: EventSet>(
    entries: &'a [Arc<Entry<S>>],
    run: &Run<'_>,
    event: u32,
    failures: &mut Failures,
    mut call: impl FnMut(&'a Entry<S>) -> Outcome,
) {
    let mut rest = entries.iter();
    loop {
        let calls = || rest.try_for_each(|entry| call(entry));
        let outcome = catch_unwind(AssertUnwindSafe(calls)).unwrap_or_else(panicked);
        let Err(error) = outcome else { return };
        let failed = &entries[entries.len() - rest.len() - 1];
        failures.add(failed.fail(error, run.info(), event).into());
    }
}

impl<S: EventSet> Entry<S> {
    /// A failure is logged once, here, and passed on if it is to be raised.
    #[cold]
    pub(super) fn fail(&self, error: BoxError, info: &RunInfo, event: u32) -> Option<Failure> {
        let method = self.delivery.method(event);
        // The error and the subscriber are code of users, too.
        quietly(|| {
            tracing::error!(
                handler = &*self.name,
                method = method,
                run = %info.id(),
                error = &*error as &dyn std::error::Error,
                "a callback handler failed",
            );
        });
        if !self.options.raise_errors {
            quietly(|| drop(error));
            return None;
        }
        Some(Failure {
            id: self.id,
            error: EmitError::Raised {
                handler: self.name.clone().into_owned(),
                event: method,
                source: error,
            },
        })
    }
}

/// An async method that waits.
pub(super) struct AsyncCall<'a, S: EventSet> {
    pub(super) entry: &'a Entry<S>,
    info: &'a RunInfo,
    event: u32,
    /// Taken where this is dropped.
    future: Option<BoxFuture<'a, Outcome>>,
}

impl<S: EventSet> Future for AsyncCall<'_, S> {
    type Output = Option<Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Failure>> {
        let Some(future) = &mut self.future else {
            return Poll::Ready(None);
        };
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
        let outcome = polled.unwrap_or_else(|panic| Poll::Ready(panicked(panic)));
        outcome.map(|outcome| self.entry.fail(outcome.err()?, self.info, self.event))
    }
}

impl<S: EventSet> Drop for AsyncCall<'_, S> {
    /// What a method leaves behind where it waited is code of users, too.
    fn drop(&mut self) {
        let future = self.future.take();
        quietly(|| drop(future));
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the handler panicked: {0}")]
struct Panicked(String);

fn panicked(panic: Box<dyn Any + Send>) -> Outcome {
    let message = panic.downcast_ref::<String>().map(String::as_str);
    let message = message.or_else(|| panic.downcast_ref::<&str>().copied());
    let error = Panicked(message.unwrap_or("no message").to_owned());
    quietly(|| drop(panic));
    Err(error.into())
}

/// Runs what nobody waits for an answer of, and lets no panic of it out.
pub(crate) fn quietly(run: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
        // To drop it could panic again.
        std::mem::forget(panic);
    }
}
