//! Waiting with a thread where there is no task to wait with. What is waited for is driven right here,
//! so that sync methods are called on this thread, if their lane is free, and async ones are polled
//! on it.
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

use tokio::runtime::{EnterGuard, RuntimeFlavor};
use tokio::task::block_in_place;
use tokio::task::coop::unconstrained;

use super::runtime::{Handle, own_runtime};
use crate::EmitError;

/// How long a thread waits, by default, for what may need something that only this thread could do.
const PATIENCE: Duration = Duration::from_secs(30);

/// A task that yields on a runtime that stands still is not woken, so it is looked after in steps
/// from the first to the last.
const NAPS: (Duration, Duration) = (Duration::from_micros(100), Duration::from_millis(10));

thread_local! {
    static HERE: Cell<Option<Blocked>> = const { Cell::new(None) };
}

/// How a thread waits, or what for.
#[derive(Clone, Copy)]
struct Blocked {
    among: Among,
    /// Whether it waits itself. Otherwise it works for one that does.
    waits: bool,
    /// Whether something is waited for that goes on by itself.
    goes_on: bool,
}

/// What goes on around a thread that waits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Among {
    /// The runtime at hand.
    Workers,
    /// There is a runtime at hand that may stand still meanwhile.
    StandingStill,
    /// There is no runtime.
    Nothing,
}

impl Among {
    fn here() -> (Self, Option<Handle>) {
        match Handle::try_current() {
            Ok(here) if here.runtime_flavor() == RuntimeFlavor::MultiThread => {
                (Self::Workers, Some(here))
            }
            Ok(_) => (Self::StandingStill, None),
            Err(_) => (Self::Nothing, None),
        }
    }

    fn blocked(self) -> Blocked {
        Blocked {
            among: self,
            waits: true,
            goes_on: false,
        }
    }
}

/// Whether this thread waits for what it does. Then sync methods are called on it.
pub(super) fn is_blocked() -> bool {
    HERE.get().is_some_and(|blocked| blocked.waits)
}

/// Whether no runtime at hand goes on, for this thread waits, or the one that it works for.
#[inline]
pub(super) fn is_alone() -> bool {
    HERE.get()
        .is_some_and(|blocked| blocked.among != Among::Workers)
}

/// How long an async method is waited for here that has no timeout of its own.
pub(super) fn patience() -> Option<Duration> {
    let stands_still = |blocked: &Blocked| blocked.waits && blocked.among == Among::StandingStill;
    HERE.get().filter(stands_still).map(|_| PATIENCE)
}

/// Until it is dropped, this thread works for one that waits alone.
pub(super) fn work_alone() -> impl Drop {
    Marked::new(Blocked {
        waits: false,
        ..Among::StandingStill.blocked()
    })
}

/// Notes that what is waited for here goes on, whatever stands still.
pub(super) fn note_goes_on() {
    if let Some(blocked) = HERE.get() {
        let goes_on = true;
        HERE.set(Some(Blocked { goes_on, ..blocked }));
    }
}

/// Has async methods find our own runtime where no other goes on, until it is dropped.
#[inline]
pub(super) fn enter() -> Option<EnterGuard<'static>> {
    if is_alone() { enter_own() } else { None }
}

#[cold]
fn enter_own() -> Option<EnterGuard<'static>> {
    let here = Handle::try_current();
    // Where a thread ends, no runtime can be entered any more.
    let ends = here.is_err_and(|error| error.is_thread_local_destroyed());
    let runtime = if ends { None } else { own_runtime() };
    runtime.map(Handle::enter)
}

/// Calls sync methods on this thread. They may block it, so a worker hands its other tasks on.
pub(super) fn call_here(code: impl FnOnce()) {
    if HERE
        .get()
        .is_some_and(|blocked| blocked.among == Among::Workers)
    {
        block_in_place(code);
    } else {
        code();
    }
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

/// Runs code that hands work on, to a runtime that goes on if this thread waits later.
pub(crate) fn as_if_blocked<R>(code: impl FnOnce() -> R) -> R {
    let _marked = Marked::new(Among::here().0.blocked());
    code()
}

/// Waits for the future, unless that is in vain and there is another output then.
fn wait<T>(future: impl Future<Output = T>, in_vain: impl Fn() -> Option<T>) -> T {
    let (among, workers) = Among::here();
    // For as long as the future is there: what it holds is dropped here, too.
    let _marked = Marked::new(among.blocked());
    let mut future = pin!(future);
    let Some(here) = workers else {
        // Of the task around this, if there is one, the budget is not renewed while this waits.
        return park_until_ready(among, pin!(unconstrained(future)), in_vain);
    };
    // Mostly it is ready, and the worker can go on as a worker.
    let mut cx = Context::from_waker(Waker::noop());
    match future.as_mut().poll(&mut cx) {
        Poll::Ready(output) => output,
        Poll::Pending => block_in_place(|| here.block_on(future)),
    }
}

/// Polls the future whenever it wakes this thread.
fn park_until_ready<T>(
    among: Among,
    mut future: Pin<&mut impl Future<Output = T>>,
    in_vain: impl Fn() -> Option<T>,
) -> T {
    let parked = Arc::new(Parked {
        thread: thread::current(),
        woken: AtomicBool::new(false),
    });
    let waker = Waker::from(parked.clone());
    let mut cx = Context::from_waker(&waker);
    let (shortest, longest) = NAPS;
    let (mut since, mut nap) = (Instant::now(), shortest);
    loop {
        HERE.set(Some(among.blocked()));
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        let goes_on = HERE.get().is_some_and(|blocked| blocked.goes_on);
        if among == Among::Nothing {
            parked.wait(None);
        } else if parked.wait(Some(nap)) {
            (since, nap) = (Instant::now(), shortest);
        } else if since.elapsed() < PATIENCE || goes_on {
            nap = longest.min(2 * nap);
        } else if let Some(output) = in_vain() {
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

/// A thread is marked until this is dropped.
struct Marked {
    before: Option<Blocked>,
}

impl Marked {
    fn new(blocked: Blocked) -> Self {
        let before = HERE.replace(Some(blocked));
        Self { before }
    }
}

impl Drop for Marked {
    fn drop(&mut self) {
        HERE.set(self.before);
    }
}
