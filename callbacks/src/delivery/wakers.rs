//! Wakers. To clone one, to drop it and to wake by it is code of an executor's, which may panic.

use std::collections::BTreeMap;
use std::collections::btree_map::IntoValues;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use super::call::contained;

/// Wakes. What an executor does wrong there stops nobody here: others are woken after it, and this may be
/// a destructor while something panics.
pub(crate) fn wake(waker: Waker) {
    contained(|| waker.wake());
}

/// A waker for libraries, which a panic would break: they clone, wake and drop under their locks. Kept by who
/// polls, so that what it stands for is hardly ever dropped there.
#[derive(Default)]
pub(super) struct QuietWaker(Option<Arc<Quiet>>);

struct Quiet(Waker);

impl QuietWaker {
    pub(super) fn poll<F: Future>(
        &mut self,
        future: Pin<&mut F>,
        cx: &Context<'_>,
    ) -> Poll<F::Output> {
        let theirs = cx.waker();
        let known = self.0.clone().filter(|known| known.0.will_wake(theirs));
        let quiet = known.unwrap_or_else(|| Arc::new(Quiet(theirs.clone())));
        let polled = future.poll(&mut Context::from_waker(&quiet.clone().into()));
        // The one before goes after that.
        self.0 = Some(quiet);
        polled
    }
}

impl Wake for Quiet {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        contained(|| self.0.wake_by_ref());
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let theirs = std::mem::replace(&mut self.0, Waker::noop().clone());
        contained(|| drop(theirs));
    }
}

/// Those who wait for a change of what is under a lock, each by a number of its own. Their executors may poll
/// where they wake, so none of that is done here: wakers come in as they are, and go out to where the lock is
/// let go.
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
