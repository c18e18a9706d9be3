//! What an emission waits for, and for how long.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::coop::{Unconstrained, unconstrained};
use tokio::time::{Instant, Sleep, sleep};

use super::call::{AsyncCall, Failures};
use super::dispatcher::Entry;
use super::runtime::own_runtime;
use crate::{EventSet, RunInfo};

/// A handler that has not answered yet. It is waited for as long as its options allow: then an
/// async method is dropped where it waits, while a sync one goes on and keeps its lane busy.
pub(super) struct Waiting<'a, S: EventSet> {
    answer: Answer<'a, S>,
    entry: &'a Entry<S>,
    info: &'a RunInfo,
    event: u32,
    timer: Option<Timer>,
}

enum Answer<'a, S: EventSet> {
    Call(AsyncCall<'a, S>),
    Reply(Reply),
}

/// The answer of a lane. Closed without one means that the handler is gone.
pub(super) type Reply = oneshot::Receiver<Failures>;

impl<'a, S: EventSet> Waiting<'a, S> {
    pub(super) fn call(call: AsyncCall<'a, S>, info: &'a RunInfo, event: u32) -> Self {
        let entry = call.entry;
        Self::new(Answer::Call(call), entry, info, event)
    }

    pub(super) fn reply(reply: Reply, entry: &'a Entry<S>, info: &'a RunInfo, event: u32) -> Self {
        Self::new(Answer::Reply(reply), entry, info, event)
    }

    fn new(answer: Answer<'a, S>, entry: &'a Entry<S>, info: &'a RunInfo, event: u32) -> Self {
        let timer = None;
        Self {
            answer,
            entry,
            info,
            event,
            timer,
        }
    }
}

impl<S: EventSet> Future for Waiting<'_, S> {
    type Output = Failures;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Failures> {
        let answer = match &mut self.answer {
            Answer::Call(call) => Pin::new(call).poll(cx).map(Failures::from),
            Answer::Reply(reply) => Pin::new(reply).poll(cx).map(Result::unwrap_or_default),
        };
        let (Poll::Pending, Some(timeout)) = (&answer, self.entry.options.timeout) else {
            return answer;
        };
        let timer = self.timer.get_or_insert_with(|| Timer::new(timeout));
        timer.poll(cx).map(|()| {
            let error = TimedOut(timeout);
            self.entry.fail(error.into(), self.info, self.event).into()
        })
    }
}

/// A timer of the runtime at hand. Where that has none, or shuts down, one of our own.
struct Timer {
    timeout: Duration,
    started: Instant,
    /// Unconstrained: a handler that has used up its task's budget must not stop the clock.
    sleep: Option<Pin<Box<Unconstrained<Sleep>>>>,
}

impl Timer {
    fn new(timeout: Duration) -> Self {
        let here = Handle::try_current().is_ok();
        let here = here.then(|| try_sleep(timeout)).flatten();
        Self {
            timeout,
            started: Instant::now(),
            sleep: here.or_else(|| on_own_runtime(timeout)),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            // Without any timer at all it is better to be too early than never.
            let Some(sleep) = &mut self.sleep else {
                return Poll::Ready(());
            };
            let poll = || sleep.as_mut().poll(cx);
            if let Ok(polled) = catch_unwind(AssertUnwindSafe(poll)) {
                return polled;
            }
            // Its runtime is gone.
            let left = self.timeout.saturating_sub(self.started.elapsed());
            self.sleep = on_own_runtime(left);
        }
    }
}

fn on_own_runtime(timeout: Duration) -> Option<Pin<Box<Unconstrained<Sleep>>>> {
    let _entered = own_runtime()?.enter();
    try_sleep(timeout)
}

/// To start a timer panics on a runtime that has none, and there is no way to ask.
fn try_sleep(timeout: Duration) -> Option<Pin<Box<Unconstrained<Sleep>>>> {
    let sleep = catch_unwind(|| sleep(timeout)).ok()?;
    Some(Box::pin(unconstrained(sleep)))
}

#[derive(Debug, thiserror::Error)]
#[error("the handler took longer than {0:?}")]
struct TimedOut(Duration);
