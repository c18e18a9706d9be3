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

use super::aftermath::Aftermath;
use super::blocking::{is_alone, note_goes_on, patience};
use super::call::{AsyncCall, Called};
use super::deferred::Turn;
use super::ledger::Trouble;
use super::runtime::timers;
use super::wakers::QuietWaker;
use crate::EventSet;

/// A handler that is not done yet, and what it put off. A handler is waited for as long as its
/// options allow: then an async method is dropped where it waits, while a sync one goes on and
/// keeps its lane busy.
pub(super) struct Waiting<'a, S: EventSet> {
    pending: Option<Pending<'a, S>>,
    timer: Option<Timer>,
    /// What was put off; `None` if it is not waited for.
    turns: Option<Vec<Turn>>,
    aftermath: Aftermath,
}

enum Pending<'a, S: EventSet> {
    Async(AsyncCall<'a, S>),
    OnLane(OnLane, Called<'a, S>),
}

/// A call on a lane. If it is never done, for `done` is closed, the handler is gone.
pub(super) struct OnLane {
    pub(super) done: oneshot::Receiver<Aftermath>,
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
        Self::new(Some(Pending::Async(call)))
    }

    pub(super) fn on_lane(call: OnLane, called: Called<'a, S>) -> Self {
        Self::new(Some(Pending::OnLane(call, called)))
    }

    pub(super) fn turns(turns: Vec<Turn>) -> Self {
        Self {
            turns: Some(turns),
            ..Self::new(None)
        }
    }

    fn new(pending: Option<Pending<'a, S>>) -> Self {
        Self {
            pending,
            timer: None,
            turns: None,
            aftermath: Aftermath::default(),
        }
    }

    /// Waits for what the handler puts off, too.
    pub(super) fn follow(&mut self) {
        self.turns.get_or_insert_default();
    }

    /// Whether the handler is done, or given up.
    fn poll_pending(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(pending) = &mut self.pending else {
            return Poll::Ready(());
        };
        let (answered, entry) = match pending {
            Pending::Async(call) => (call.poll(cx, &mut self.aftermath), call.called.entry),
            Pending::OnLane(call, called) => {
                // Whoever has the lane is on a thread that goes on.
                note_goes_on();
                let answered = Pin::new(&mut call.done).poll(cx);
                let add =
                    |aftermath: Result<_, _>| self.aftermath.add(aftermath.unwrap_or_default());
                (answered.map(add), called.entry)
            }
        };
        let timeout = entry.options.timeout;
        let timeout = match pending {
            Pending::Async(_) => timeout.or_else(patience),
            Pending::OnLane(..) => timeout,
        };
        let (Poll::Pending, Some(timeout)) = (answered, timeout) else {
            return answered;
        };
        let timer = self.timer.get_or_insert_with(|| Timer::new(timeout));
        std::task::ready!(timer.poll(cx));
        let (error, trouble) = (TimedOut(timeout).into(), Trouble::TimedOut);
        match pending {
            Pending::Async(call) => call.fail(error, trouble, &mut self.aftermath),
            // It has returned this moment.
            Pending::OnLane(call, _) if !call.verdict.claim() => return Poll::Pending,
            Pending::OnLane(_, called) => called.fail(error, trouble, &mut self.aftermath),
        }
        Poll::Ready(())
    }
}

impl<S: EventSet> Future for Waiting<'_, S> {
    type Output = Aftermath;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Aftermath> {
        let this = &mut *self;
        if this.poll_pending(cx).is_ready() {
            this.pending = None;
        }
        let mut waits = this.pending.is_some();
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
    waker: QuietWaker,
}

impl Timer {
    pub(super) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            started: Instant::now(),
            sleep: at_hand(timeout).or_else(|| on_own_thread(timeout)),
            waker: QuietWaker::default(),
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        note_goes_on();
        loop {
            // Without any timer at all it is better to be too early than never.
            let Some(sleep) = &mut self.sleep else {
                return Poll::Ready(());
            };
            let poll = || self.waker.poll(sleep.as_mut(), cx);
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
