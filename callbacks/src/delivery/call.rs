//! Calling handlers. Whatever one does, an error or a panic of it ends here: it is logged, and
//! neither the run nor another handler notices, unless the handler is one whose errors are raised.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;

use super::aftermath::Aftermath;
use super::blocking;
use super::callback::{self, During};
use super::dispatcher::Entry;
use super::ledger::{Receipt, Trouble};
use super::waiting::{Verdict, Waiting};
use crate::error::Repeated;
use crate::handler::Outcome;
use crate::payload::RunError;
use crate::{BoxError, BoxFuture, EmitError, EventSet, Run, RunInfo};

/// Handlers to be called, and their receipts if there are any.
pub(super) struct Calls<'a, 'r, S: EventSet> {
    pub(super) entries: &'a [Arc<Entry<S>>],
    pub(super) receipts: &'r mut [Option<Receipt>],
}

impl<'a, S: EventSet> Calls<'a, '_, S> {
    /// Calls one after another, whatever each does. Panics are caught around all at once: to catch
    /// those of each costs as much as to call it.
    fn each(
        &mut self,
        run: &Run<'_>,
        event: u32,
        aftermath: &mut Aftermath,
        mut call: impl FnMut(&'a Entry<S>, &mut [Option<Receipt>]) -> Outcome,
    ) {
        let mut rest = self.entries.iter();
        loop {
            let receipts = &mut *self.receipts;
            let calls = || rest.try_for_each(|entry| call(entry, receipts));
            let outcome = callback::call(During::Reaching, calls, |turns| aftermath.owe(turns));
            let Err(error) = outcome.unwrap_or_else(panicked) else {
                break;
            };
            let at = self.entries.len() - rest.len() - 1;
            let called = Called::new(&self.entries[at], run, event);
            called.fail(error, Trouble::Failed, aftermath);
            take(self.receipts, at)
                .into_iter()
                .for_each(Receipt::counted);
        }
        let left = self.receipts.iter_mut().filter_map(Option::take);
        left.for_each(Receipt::delivered);
    }
}

fn take(receipts: &mut [Option<Receipt>], at: usize) -> Option<Receipt> {
    receipts.get_mut(at).and_then(Option::take)
}

/// Calls the sync methods, in order.
pub(super) fn call_all<S: EventSet>(
    mut calls: Calls<'_, '_, S>,
    run: &Run<'_>,
    event: &S::Ref<'_>,
    aftermath: &mut Aftermath,
) {
    if calls.entries.is_empty() {
        return;
    }
    calls.each(run, S::index(event), aftermath, |entry, _| {
        entry.delivery.deliver(run, event)
    });
}

/// Polls the async methods once, in order. Those that are not ready are left to wait for.
pub(super) fn poll_all<'a, 'e: 'a, S: EventSet>(
    mut calls: Calls<'a, '_, S>,
    run: &'a Run<'e>,
    event: &'a S::Ref<'e>,
    aftermath: &mut Aftermath,
    waiting: &mut Vec<Waiting<'a, S>>,
    cx: &mut Context<'_>,
) {
    if calls.entries.is_empty() {
        return;
    }
    let (index, mut at) = (S::index(event), 0);
    let _entered = blocking::enter();
    calls.each(run, index, aftermath, |entry, receipts| {
        at += 1;
        let mut future = entry.delivery.deliver_async(run, event);
        if let Poll::Ready(outcome) = future.as_mut().poll(cx) {
            return outcome;
        }
        waiting.push(Waiting::call(AsyncCall {
            called: Called::new(entry, run, index),
            receipt: take(receipts, at - 1),
            future: Some(future),
        }));
        Ok(())
    });
}

/// Calls a sync method on a lane. After the verdict that it took too long, nobody asks any more how
/// it went.
pub(super) fn call_lane<S: EventSet>(
    entry: &Entry<S>,
    run: &Run<'_>,
    event: &S::Ref<'_>,
    receipt: Receipt,
    verdict: Option<&Verdict>,
) -> Aftermath {
    let mut aftermath = Aftermath::default();
    let call = || entry.delivery.deliver(run, event);
    let outcome = callback::call(During::Waiting, call, |turns| aftermath.owe(turns));
    match outcome.unwrap_or_else(panicked) {
        late if !verdict.is_none_or(Verdict::claim) => {
            receipt.counted();
            quietly(|| drop(late));
        }
        Ok(()) => receipt.delivered(),
        Err(error) => {
            let called = Called::new(entry, run, S::index(event));
            called.fail(error, Trouble::Failed, &mut aftermath);
            receipt.counted();
        }
    }
    aftermath
}

/// A handler, and what it was called for.
pub(super) struct Called<'a, S: EventSet> {
    pub(super) entry: &'a Entry<S>,
    info: &'a RunInfo,
    event: u32,
}

impl<'a, S: EventSet> Called<'a, S> {
    pub(super) fn new(entry: &'a Entry<S>, run: &Run<'a>, event: u32) -> Self {
        let info = run.info();
        Self { entry, info, event }
    }

    /// A failure is counted and logged once, here, and passed on if it is to be raised. One that says of
    /// itself that it was logged before is not again.
    #[cold]
    pub(super) fn fail(&self, error: BoxError, trouble: Trouble, aftermath: &mut Aftermath) {
        let Self { entry, info, event } = self;
        let method = entry.delivery.method(*event);
        entry.ledger.count(trouble);
        let error = match error.downcast::<Repeated>() {
            Ok(repeated) => repeated.0,
            Err(error) => {
                // The error and the subscriber are code of users, too.
                quietly(|| {
                    tracing::error!(
                        handler = entry.ledger.name(),
                        method = method,
                        run = %info.id(),
                        error = &*error as &dyn std::error::Error,
                        "a callback handler failed",
                    );
                });
                error
            }
        };
        if !entry.options.raise_errors {
            quietly(|| drop(error));
            return;
        }
        let error = EmitError::Raised {
            handler: entry.ledger.name().to_owned(),
            event: method,
            source: error,
        };
        aftermath.fail(entry.id, error);
    }
}

/// An async method that waits.
pub(super) struct AsyncCall<'a, S: EventSet> {
    pub(super) called: Called<'a, S>,
    receipt: Option<Receipt>,
    /// Taken where it ends.
    future: Option<BoxFuture<'a, Outcome>>,
}

impl<S: EventSet> AsyncCall<'_, S> {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, aftermath: &mut Aftermath) -> Poll<()> {
        let Some(future) = &mut self.future else {
            return Poll::Ready(());
        };
        let _entered = blocking::enter();
        let poll = || future.as_mut().poll(cx);
        let polled = callback::call(During::Waiting, poll, |turns| aftermath.owe(turns));
        let outcome = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(outcome)) => outcome,
            Err(panic) => panicked(panic),
        };
        match outcome {
            Ok(()) => self.leave().into_iter().for_each(Receipt::delivered),
            Err(error) => self.fail(error, Trouble::Failed, aftermath),
        }
        Poll::Ready(())
    }

    pub(super) fn fail(&mut self, error: BoxError, trouble: Trouble, aftermath: &mut Aftermath) {
        let receipt = self.leave();
        self.called.fail(error, trouble, aftermath);
        receipt.into_iter().for_each(Receipt::counted);
    }

    /// What a method leaves behind where it waited is code of users, too.
    fn leave(&mut self) -> Option<Receipt> {
        let _entered = blocking::enter();
        let future = self.future.take();
        quietly(|| drop(future));
        self.receipt.take()
    }
}

impl<S: EventSet> Drop for AsyncCall<'_, S> {
    /// Nobody waits for it any longer.
    fn drop(&mut self) {
        if self.future.is_some() && self.leave().is_none() {
            self.called.entry.ledger.count(Trouble::Dropped);
        }
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

/// The error, as a run's. To show what a handler raised is code of users.
pub(crate) fn shown(error: &EmitError) -> RunError {
    // What is put off there is handed on.
    let shown = callback::call(During::Waiting, || RunError::from(error), drop);
    shown.unwrap_or_else(|panic| {
        quietly(|| drop(panic));
        RunError::new("a callback handler failed with an error that cannot be shown")
    })
}

/// Runs code of users that nobody waits for an answer of, such as dropping what is theirs. No panic
/// of it gets out, and what it emits is put off.
pub(crate) fn quietly(run: impl FnOnce()) {
    // What is put off is handed on.
    forget(callback::call(During::Waiting, run, drop));
}

/// Runs code of others, where no handler is called. No panic of it gets out.
pub(super) fn contained(run: impl FnOnce()) {
    forget(catch_unwind(AssertUnwindSafe(run)));
}

/// To drop a panic could panic again.
fn forget(outcome: thread::Result<()>) {
    if let Err(panic) = outcome {
        std::mem::forget(panic);
    }
}
