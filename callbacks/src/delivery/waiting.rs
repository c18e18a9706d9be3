//! What an emission waits for, and for how long.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};

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
    timer: Option<Pin<Box<Sleep>>>,
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
        let timer = self.timer.get_or_insert_with(|| start(timeout));
        timer.as_mut().poll(cx).map(|()| {
            let error = TimedOut(timeout);
            self.entry.fail(error.into(), self.info, self.event).into()
        })
    }
}

/// A timer of the runtime at hand, otherwise of our own.
fn start(timeout: Duration) -> Pin<Box<Sleep>> {
    let _entered = match Handle::try_current() {
        Ok(_) => None,
        Err(_) => own_runtime().map(Handle::enter),
    };
    Box::pin(sleep(timeout))
}

#[derive(Debug, thiserror::Error)]
#[error("the handler took longer than {0:?}")]
struct TimedOut(Duration);
