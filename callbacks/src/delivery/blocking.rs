//! Waiting with a thread where there is no task to wait with. What is waited for is driven right here,
//! so that sync methods are called on this thread and async ones are polled on it.
//!
//! Async methods find a runtime: the one at hand if that has other threads too, otherwise our own, for
//! the thread that drives a current-thread runtime is the one that waits here. Our own is kept, so what
//! a handler pools on it stays.

use std::cell::Cell;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tokio::runtime::RuntimeFlavor;
use tokio::task::block_in_place;
use tokio::task::coop::unconstrained;

use super::runtime::{Handle, own_runtime};
use crate::EmitError;

/// How long an async method is waited for, by default, where it may wait for what only this thread
/// could do.
const PATIENCE: Duration = Duration::from_secs(30);

/// After so much time in which nothing happened at all, nothing will.
const STUCK: Duration = Duration::from_secs(40);

thread_local! {
    static HERE: Cell<Option<Blocked>> = const { Cell::new(None) };
}

/// How a thread waits.
#[derive(Clone, Copy)]
struct Blocked {
    patience: Option<Duration>,
}

/// Whether this thread waits for what it does. Then sync methods are called on it.
pub(super) fn is_blocked() -> bool {
    HERE.get().is_some()
}

/// How long an async method is waited for here that has no timeout of its own.
pub(super) fn patience() -> Option<Duration> {
    HERE.get().and_then(|blocked| blocked.patience)
}

/// Waits for an emission.
pub(crate) fn block_on<T>(
    emission: impl Future<Output = Result<T, EmitError>>,
) -> Result<T, EmitError> {
    wait(emission, || Some(Err(EmitError::WouldDeadlock)))
}

/// Waits for what takes a limited time only.
pub(crate) fn wait_for<T>(limited: impl Future<Output = T>) -> T {
    wait(limited, || None)
}

/// Runs code where the runtime at hand is the one that async methods find.
pub(crate) fn enter<R>(code: impl FnOnce() -> R) -> R {
    let _entered = match multi_thread() {
        Ok(_) => None,
        Err(_) => own_runtime().map(Handle::enter),
    };
    code()
}

/// The runtime at hand, if it goes on while this thread waits.
fn multi_thread() -> Result<Handle, Option<Handle>> {
    match Handle::try_current() {
        Ok(here) if here.runtime_flavor() == RuntimeFlavor::MultiThread => Ok(here),
        Ok(here) => Err(Some(here)),
        Err(_) => Err(None),
    }
}

/// Waits for the future, unless that is in vain and there is another output then.
fn wait<T>(future: impl Future<Output = T>, in_vain: impl Fn() -> Option<T>) -> T {
    let future = pin!(future);
    let here = match multi_thread() {
        Ok(here) => {
            let patience = None;
            let mut driven = pin!(Here {
                blocked: Blocked { patience },
                future,
            });
            // Mostly it is ready, and the worker can go on as a worker.
            let mut cx = Context::from_waker(Waker::noop());
            return match driven.as_mut().poll(&mut cx) {
                Poll::Ready(output) => output,
                Poll::Pending => block_in_place(|| here.block_on(driven)),
            };
        }
        Err(here) => here,
    };
    let standing_still = here.is_some();
    let _entered = own_runtime().map(Handle::enter);
    let patience = standing_still.then_some(PATIENCE);
    // Of the task around this, if there is one, the budget is not renewed while this waits.
    let driven = unconstrained(Here {
        blocked: Blocked { patience },
        future,
    });
    park_until_ready(pin!(driven), standing_still.then_some(STUCK), in_vain)
}

/// Polls the future whenever it wakes this thread.
fn park_until_ready<T>(
    mut future: Pin<&mut impl Future<Output = T>>,
    stuck: Option<Duration>,
    in_vain: impl Fn() -> Option<T>,
) -> T {
    let parked = Arc::new(Parked {
        thread: thread::current(),
        woken: AtomicBool::new(false),
    });
    let waker = Waker::from(parked.clone());
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        if !parked.wait(stuck)
            && let Some(output) = in_vain()
        {
            return output;
        }
    }
}

struct Parked {
    thread: Thread,
    woken: AtomicBool,
}

impl Parked {
    /// Waits until it is woken, but no longer than that.
    fn wait(&self, at_most: Option<Duration>) -> bool {
        let since = Instant::now();
        while !self.woken.swap(false, Ordering::AcqRel) {
            match at_most.map(|at_most| at_most.saturating_sub(since.elapsed())) {
                None => thread::park(),
                Some(Duration::ZERO) => return false,
                Some(left) => thread::park_timeout(left),
            }
        }
        true
    }
}

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// A future that is polled by a thread that waits for it.
struct Here<'f, F> {
    blocked: Blocked,
    future: Pin<&'f mut F>,
}

impl<F: Future> Future for Here<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let _marked = Marked(HERE.replace(Some(self.blocked)));
        self.future.as_mut().poll(cx)
    }
}

/// Until it is dropped.
struct Marked(Option<Blocked>);

impl Drop for Marked {
    fn drop(&mut self) {
        HERE.set(self.0);
    }
}
