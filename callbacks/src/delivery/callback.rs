//! Whether code of a handler runs on this thread. Inside of it nothing of this crate waits: what is
//! emitted there is put off, and owed by whoever called the handler.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use super::deferred::Turn;

thread_local! {
    static STATE: Cell<State> = const { Cell::new(State::OUTSIDE) };
    static OWED: RefCell<Vec<Turn>> = const { RefCell::new(Vec::new()) };
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct State {
    during: Option<During>,
    /// Whether something was put off.
    owing: bool,
}

impl State {
    const OUTSIDE: Self = Self {
        during: None,
        owing: false,
    };
}

/// When a handler is called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum During {
    /// While its event has not reached all handlers. What is put off is held until then.
    Reaching,
    /// After that.
    Waiting,
}

/// Whether this is called by a handler.
#[inline]
pub(crate) fn inside() -> bool {
    STATE.get().during.is_some()
}

/// Whether what is put off now is held.
pub(crate) fn holds() -> bool {
    STATE.get().during == Some(During::Reaching)
}

/// Has whoever called the handler wait for this turn.
pub(crate) fn owe(turn: Turn) {
    let add = |owed: &mut Vec<Turn>| match owed.last_mut() {
        Some(last) if last.is_with(&turn) => Some(last.join(turn)),
        _ => {
            owed.push(turn);
            None
        }
    };
    // On a thread that ends, the turn is dropped: that has the work done, too.
    let earlier = OWED.try_with(|owed| add(&mut owed.borrow_mut()));
    STATE.set(State {
        owing: true,
        ..STATE.get()
    });
    drop(earlier);
}

/// Calls code of handlers; gives what it returned, or panicked with. What it put off is handed to
/// `owing`.
#[inline]
pub(super) fn call<R>(
    during: During,
    code: impl FnOnce() -> R,
    owing: impl FnOnce(Vec<Turn>),
) -> thread::Result<R> {
    let around = STATE.get();
    STATE.set(State {
        during: around.during.or(Some(during)),
        owing: false,
    });
    let result = catch_unwind(AssertUnwindSafe(code));
    if STATE.replace(around).owing {
        settle(around, owing);
    }
    result
}

#[cold]
fn settle(around: State, owing: impl FnOnce(Vec<Turn>)) {
    if around.during.is_none() {
        owing(OWED.try_with(RefCell::take).unwrap_or_default());
    } else {
        // The outermost caller pays.
        STATE.set(State {
            owing: true,
            ..around
        });
    }
}
