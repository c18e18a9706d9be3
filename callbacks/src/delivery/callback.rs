//! Whether code of a handler runs on this thread. Inside of it nothing of this crate waits: what is
//! emitted there is put off, and owed by whoever called the handler.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use super::deferred::Turn;

thread_local! {
    static STATE: Cell<State> = const { Cell::new(State::Outside) };
    static OWED: RefCell<Vec<Turn>> = const { RefCell::new(Vec::new()) };
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Outside,
    Inside,
    /// Inside, and something was put off.
    Owing,
}

/// Whether this is called by a handler.
#[inline]
pub(crate) fn inside() -> bool {
    STATE.get() != State::Outside
}

/// Has whoever called the handler wait for this turn.
pub(crate) fn owe(turn: Turn) {
    let add = |owed: &mut Vec<Turn>| {
        match owed.last_mut() {
            Some(last) => last.join(turn),
            None => Some(turn),
        }
        .map(|turn| owed.push(turn))
    };
    // On a thread that ends, the turn is dropped: that has the work done, too.
    let _ = OWED.try_with(|owed| add(&mut owed.borrow_mut()));
    STATE.set(State::Owing);
}

/// Calls code of handlers; gives what it returned, or panicked with. What it put off is handed to
/// `owing`.
#[inline]
pub(super) fn call<R>(
    code: impl FnOnce() -> R,
    owing: impl FnOnce(Vec<Turn>),
) -> thread::Result<R> {
    let around = STATE.replace(State::Inside);
    let result = catch_unwind(AssertUnwindSafe(code));
    if STATE.replace(around) == State::Owing {
        settle(around, owing);
    }
    result
}

#[cold]
fn settle(around: State, owing: impl FnOnce(Vec<Turn>)) {
    match around {
        State::Outside => owing(OWED.try_with(RefCell::take).unwrap_or_default()),
        // The outermost caller pays.
        State::Inside | State::Owing => STATE.set(State::Owing),
    }
}
