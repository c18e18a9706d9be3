//! Those who wait for a change of what is under a lock, each by a number of its own.
//!
//! To clone a waker, to drop it and to wake by it is code of an executor's, which may poll right there. So
//! none of it is done here: wakers come in as they are, and go out to where the lock is let go.

use std::collections::BTreeMap;
use std::collections::btree_map::IntoValues;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Wake, Waker};

use super::call::forget;

/// Wakes. What an executor does wrong there stops nobody here: others are woken after it, and this may be
/// a destructor while something panics.
pub(crate) fn wake(waker: Waker) {
    forget(catch_unwind(AssertUnwindSafe(|| waker.wake())));
}

/// A waker for what is not ours, and would be broken by a panic of this one.
pub(super) fn quiet(waker: &Waker) -> Waker {
    Waker::from(Arc::new(Quiet(waker.clone())))
}

struct Quiet(Waker);

impl Wake for Quiet {
    fn wake(self: Arc<Self>) {
        wake(self.0.clone());
    }
}

#[derive(Default)]
pub(super) struct Wakers {
    waiting: BTreeMap<u64, Waker>,
    numbers: u64,
}

impl Wakers {
    /// The number of one more, which is never 0.
    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Has somebody wait, and gives the waker that was waited with before.
    #[must_use = "it is to be dropped outside of the lock"]
    pub(super) fn register(&mut self, number: u64, waker: Waker) -> Option<Waker> {
        self.waiting.insert(number, waker)
    }

    #[must_use = "it is to be woken or dropped outside of the lock"]
    pub(super) fn remove(&mut self, number: u64) -> Option<Waker> {
        self.waiting.remove(&number)
    }

    /// All who are to be woken. They register again if they go on waiting.
    #[must_use = "they are to be woken outside of the lock"]
    pub(super) fn take(&mut self) -> IntoValues<u64, Waker> {
        std::mem::take(&mut self.waiting).into_values()
    }
}
