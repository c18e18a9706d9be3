//! What an emission waits for, and for how long.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::{Handle, Id};
use tokio::sync::oneshot;
use tokio::task::coop::{Unconstrained, unconstrained};
use tokio::time::{Instant, Sleep, sleep};

use super::blocking::{is_alone, note_limited, patience};
use super::call::{Aftermath, AsyncCall, Called};
use super::deferred::Turn;
use super::ledger::Trouble;
use super::runtime::timers;
use crate::EventSet;

/// A handler that has not answered yet, and what it put off. A handler is waited for as long as its
/// options allow: then an async method is dropped where it waits, while a sync one goes on and
/// keeps its lane busy.
pub(super) struct Waiting<'a, S: EventSet> {
    answer: Option<Answer<'a, S>>,
    timer: Option<Timer>,
    /// What was put off; `None` if it is not waited for.
    turns: Option<Vec<Turn>>,
    aftermath: Aftermath,
}

enum Answer<'a, S: EventSet> {
    Call(AsyncCall<'a, S>),
    Reply(Reply, Called<'a, S>),
}

/// The answer of a lane. Closed without one means that the handler is gone.
pub(super) struct Reply {
    pub(super) answer: oneshot::Receiver<Aftermath>,
    pub(super) verdict: Verdict,
}

/// Who was first: the method that returned, or the time that was up. There is no question without a
/// timeout.
#[derive(Clone)]
pub(super) struct Verdict(Option<Arc<AtomicBool>>);

impl Verdict {
    pub(super) fn within(timeout: Option<Duration>) -> Self {
        Self(timeout.map(|_| Arc::default()))
    }

    /// Whether nobody was here before.
    pub(super) fn claim(&self) -> bool {
        let claimed = self.0.as_ref();
        claimed.is_none_or(|claimed| !claimed.swap(true, Ordering::AcqRel))
    }
}

impl<'a, S: EventSet> Waiting<'a, S> {
    pub(super) fn call(call: AsyncCall<'a, S>) -> Self {
        Self::new(Some(Answer::Call(call)))
    }

    pub(super) fn reply(reply: Reply, called: Called<'a, S>) -> Self {
        Self::new(Some(Answer::Reply(reply, called)))
    }

    pub(super) fn turns(turns: Vec<Turn>) -> Self {
        Self {
            turns: Some(turns),
            ..Self::new(None)
        }
    }

    fn new(answer: Option<Answer<'a, S>>) -> Self {
        Self {
            answer,
            timer: None,
            turns: None,
            aftermath: Aftermath::default(),
        }
    }

    /// Waits for what the handler puts off, too.
    pub(super) fn follow(&mut self) {
        self.turns.get_or_insert_default();
    }

    /// Whether the handler has answered, or is given up.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(answer) = &mut self.answer else {
            return Poll::Ready(());
        };
        let (answered, entry) = match answer {
            Answer::Call(call) => (call.poll(cx, &mut self.aftermath), call.called.entry),
            Answer::Reply(reply, called) => {
                // Whoever has the lane is on a thread that goes on.
                note_limited();
                let answered = Pin::new(&mut reply.answer).poll(cx);
                let add =
                    |aftermath: Result<_, _>| self.aftermath.add(aftermath.unwrap_or_default());
                (answered.map(add), called.entry)
            }
        };
        let timeout = entry.options.timeout;
        let timeout = match answer {
            Answer::Call(_) => timeout.or_else(patience),
            Answer::Reply(..) => timeout,
        };
        let (Poll::Pending, Some(timeout)) = (answered, timeout) else {
            return answered;
        };
        let timer = self.timer.get_or_insert_with(|| Timer::new(timeout));
        std::task::ready!(timer.poll(cx));
        let (error, trouble) = (TimedOut(timeout).into(), Trouble::TimedOut);
        match answer {
            Answer::Call(call) => call.fail(error, trouble, &mut self.aftermath),
            // It has answered this moment.
            Answer::Reply(reply, _) if !reply.verdict.claim() => return Poll::Pending,
            Answer::Reply(_, called) => called.fail(error, trouble, &mut self.aftermath),
        }
        Poll::Ready(())
    }
}

impl<S: EventSet> Future for Waiting<'_, S> {
    type Output = Aftermath;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Aftermath> {
        let this = &mut *self;
        if this.poll_answer(cx).is_ready() {
            this.answer = None;
        }
        let mut waits = this.answer.is_some();
        match &mut this.turns {
            Some(turns) => {
                turns.extend(this.aftermath.take_turns());
                turns.retain_mut(|turn| Pin::new(turn).poll(cx).is_pending());
                waits |= !turns.is_empty();
            }
            None => this.aftermath.hand_on(),
        }
        if waits {
            return Poll::Pending;
        }
        Poll::Ready(std::mem::take(&mut this.aftermath))
    }
}

/// A timer of the runtime at hand. Where that has none, or shuts down, one of our own.
pub(super) struct Timer {
    timeout: Duration,
    started: Instant,
    /// Unconstrained: a handler that has used up its task's budget must not stop the clock.
    sleep: Option<Pin<Box<Unconstrained<Sleep>>>>,
}

impl Timer {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            started: Instant::now(),
            sleep: at_hand(timeout).or_else(|| on_own_thread(timeout)),
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        note_limited();
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
            self.sleep = on_own_thread(left);
        }
    }
}

thread_local! {
    /// The runtime that was found to have no timers.
    static WITHOUT_TIMERS: Cell<Option<Id>> = const { Cell::new(None) };
}

/// `None` if there is no runtime, or one that stands still or has no timers.
fn at_hand(timeout: Duration) -> Option<Pin<Box<Unconstrained<Sleep>>>> {
    let here = Handle::try_current().ok().filter(|_| !is_alone())?.id();
    if WITHOUT_TIMERS.get() == Some(here) {
        return None;
    }
    let sleep = try_sleep(timeout);
    if sleep.is_none() {
        WITHOUT_TIMERS.set(Some(here));
    }
    sleep
}

fn on_own_thread(timeout: Duration) -> Option<Pin<Box<Unconstrained<Sleep>>>> {
    let _entered = timers()?.enter();
    try_sleep(timeout)
}

/// To start a timer panics on a runtime that has none, and there is no way to ask. The program may hear of
/// panics, so none is caught more often than need be.
fn try_sleep(timeout: Duration) -> Option<Pin<Box<Unconstrained<Sleep>>>> {
    let sleep = catch_unwind(|| sleep(timeout)).ok()?;
    Some(Box::pin(unconstrained(sleep)))
}

#[derive(Debug, thiserror::Error)]
#[error("the handler took longer than {0:?}")]
struct TimedOut(Duration);
