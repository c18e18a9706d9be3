//! What is put off in a run tree, because it was emitted inside a callback: it is done in order,
//! once the emission around it has reached all its handlers, and before anything later is emitted.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use futures_util::FutureExt;

use super::driven::{Driven, Waited, hand_on, to_its_end};
use super::line::Line;
use super::runtime::Handle;
use super::sync::{AtomicBool, Mutex, MutexGuard, lock};
use super::wakers::{Wakers, wake};
use crate::BoxFuture;

/// An emission or the closing of a run.
pub(crate) type Work = BoxFuture<'static, ()>;

/// After so much work in a row others have their turn: handlers may go on reacting for ever.
const IN_A_ROW: usize = 64;

/// The work that is put off in one run tree.
pub(crate) struct Deferred {
    /// Whether there is any. The others ask for nothing else.
    pending: AtomicBool,
    queue: Mutex<Queue>,
    /// Where it is done if nobody waits for it.
    home: Option<Handle>,
}

#[derive(Default)]
struct Queue {
    work: Line<Work>,
    /// How much is done.
    done: u64,
    /// Does the work, one after another. Present while there is any.
    driver: Option<Driven<()>>,
    /// By which number it waits whom the driver was handed on to, so that nobody else has to.
    handed_on: Option<u64>,
    /// Those who wait for something to change.
    waiting: Wakers,
}

impl Deferred {
    pub(crate) fn new(home: Option<Handle>) -> Arc<Self> {
        Arc::new(Self {
            pending: AtomicBool::new(false),
            queue: Mutex::default(),
            home,
        })
    }

    #[inline]
    pub(crate) fn is_pending(&self) -> bool {
        self.pending.load(Ordering::Acquire)
    }

    /// Queues work, unless the run is closed. Whoever closes a run asks for the [`turn`](Self::turn)
    /// after that, so it either keeps the work out or waits for it.
    ///
    /// Whoever gets the turn has the work done, and releases it if it is held.
    pub(crate) fn push(
        self: &Arc<Self>,
        closed: Option<&AtomicBool>,
        held: bool,
        work: impl FnOnce() -> Work,
    ) -> Option<Turn> {
        let mut queue = lock(&self.queue);
        if closed.is_some_and(|closed| closed.load(Ordering::SeqCst)) {
            return None;
        }
        let number = queue.work.push(work(), held);
        self.pending.store(true, Ordering::Release);
        let drive = || FutureExt::shared(Box::pin(drive(self.clone())) as Work);
        queue.driver.get_or_insert_with(drive);
        let mut turn = self.turn_of(&mut queue, number)?;
        turn.responsible = true;
        turn.held.extend(held.then_some(number));
        Some(turn)
    }

    /// When all is done that is queued now; `None` if there is nothing to wait for.
    pub(crate) fn turn(self: &Arc<Self>) -> Option<Turn> {
        let mut queue = lock(&self.queue);
        let number = queue.work.last();
        self.turn_of(&mut queue, number)
    }

    fn turn_of(self: &Arc<Self>, queue: &mut Queue, number: u64) -> Option<Turn> {
        let driver = queue.driver.clone()?;
        Some(Turn {
            deferred: self.clone(),
            number,
            held: Vec::new(),
            driver: Waited::new(driver),
            responsible: false,
            waiter: queue.waiting.number(),
        })
    }

    /// The next work; `None` if there is no more.
    fn poll_next(&self, driver: u64, cx: &mut Context<'_>) -> Poll<Option<Work>> {
        let waker = cx.waker().clone();
        let mut queue = lock(&self.queue);
        if let Some(work) = queue.work.take() {
            return Poll::Ready(Some(work));
        }
        if !queue.work.is_empty() {
            let before = queue.waiting.register(driver, waker);
            drop(queue);
            drop(before);
            return Poll::Pending;
        }
        self.pending.store(false, Ordering::Release);
        queue.handed_on = None;
        let driver = queue.driver.take();
        drop(queue);
        drop(driver);
        Poll::Ready(None)
    }

    /// Lets held work go.
    fn release(&self, numbers: &[u64]) {
        let mut queue = lock(&self.queue);
        for number in numbers {
            queue.work.release(*number);
        }
        wake_all(queue);
    }

    fn done(&self) {
        let mut queue = lock(&self.queue);
        queue.done += 1;
        wake_all(queue);
    }
}

fn wake_all(mut queue: MutexGuard<'_, Queue>) {
    let waiting = queue.waiting.take();
    drop(queue);
    waiting.for_each(wake);
}

async fn drive(deferred: Arc<Deferred>) {
    // The driver is the one who waits by this number.
    const DRIVER: u64 = 0;
    for count in 1_usize.. {
        let Some(work) = poll_fn(|cx| deferred.poll_next(DRIVER, cx)).await else {
            return;
        };
        to_its_end(work).await;
        deferred.done();
        if count.is_multiple_of(IN_A_ROW) {
            let_others().await;
        }
    }
}

/// Is ready when it is polled again, for which it wakes at once. Tokio's `yield_now` leaves that to the runtime
/// at hand, and one that stands still, for the thread that waits here drives it, wakes nobody.
async fn let_others() {
    let mut again = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut again, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Ready when the work up to a certain one is done, which it does if nobody else does.
#[must_use]
pub(crate) struct Turn {
    deferred: Arc<Deferred>,
    number: u64,
    /// The work that waits to be released.
    held: Vec<u64>,
    driver: Waited<()>,
    /// Whether the work has to be done even if this is dropped.
    responsible: bool,
    waiter: u64,
}

impl Turn {
    pub(super) fn is_with(&self, other: &Turn) -> bool {
        Arc::ptr_eq(&self.deferred, &other.deferred)
    }

    /// Becomes the later one of two turns of a run tree, and gives back what it was. To drop that wakes
    /// others.
    pub(super) fn join(&mut self, mut later: Turn) -> Turn {
        self.held.append(&mut later.held);
        later.held = std::mem::take(&mut self.held);
        let mut earlier = std::mem::replace(self, later);
        earlier.responsible = false;
        earlier
    }

    /// The emission around the work has reached all its handlers.
    pub(super) fn release(&mut self) {
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() {
            self.deferred.release(&held);
        }
    }

    /// Has the work done by others.
    pub(super) fn hand_on(&mut self) {
        self.release();
        if !std::mem::replace(&mut self.responsible, false) {
            return;
        }
        let mut queue = lock(&self.deferred.queue);
        if queue.done >= self.number || queue.handed_on.is_some() {
            return;
        }
        let all = self.deferred.turn_of(&mut queue, u64::MAX);
        queue.handed_on = all.as_ref().map(|all| all.waiter);
        drop(queue);
        if let Some(all) = all {
            let all = FutureExt::shared(Box::pin(all) as Work);
            hand_on(all, self.deferred.home.as_ref());
        }
    }

    /// Stops polling the driver. It may have woken just this turn, so another has to look: whom it
    /// was handed on to, or else all.
    fn leave(&mut self) {
        let driver = self.driver.take();
        let mut queue = lock(&self.deferred.queue);
        let own = queue.waiting.remove(self.waiter);
        let heir = queue.handed_on.and_then(|heir| queue.waiting.remove(heir));
        match heir {
            Some(heir) => {
                drop(queue);
                wake(heir);
            }
            None if driver.is_some() => wake_all(queue),
            None => drop(queue),
        }
        drop((own, driver));
    }

    fn poll_done(&self, waker: Waker) -> Poll<()> {
        let mut queue = lock(&self.deferred.queue);
        if queue.done >= self.number {
            drop(queue);
            return Poll::Ready(());
        }
        let before = queue.waiting.register(self.waiter, waker);
        drop(queue);
        drop(before);
        Poll::Pending
    }
}

impl Future for Turn {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.release();
        if self.poll_done(cx.waker().clone()).is_pending()
            && self.driver.poll(cx).is_pending()
            // The driver may have done just what is waited for here.
            && self.poll_done(cx.waker().clone()).is_pending()
        {
            return Poll::Pending;
        }
        self.leave();
        Poll::Ready(())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.hand_on();
        self.leave();
    }
}
