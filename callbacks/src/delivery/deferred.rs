//! What is put off in a run tree, because it was emitted inside a callback: it is done in order,
//! once the handlers of the emission around it were reached, and before anything later is emitted.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use futures_util::FutureExt;

use super::call::quietly;
use super::driven::{Driven, hand_on, poll_once_more};
use super::runtime::Handle;
use super::sync::{AtomicBool, Mutex, lock};
use crate::BoxFuture;

/// An emission or the closing of a run.
pub(crate) type Work = BoxFuture<'static, ()>;

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
    work: VecDeque<Work>,
    queued: u64,
    done: u64,
    /// Does the work, one after another. Present while there is any.
    driver: Option<Driven<()>>,
    /// Whether the driver was handed on, so that nobody else has to.
    handed_on: bool,
    waiting: Vec<Waker>,
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
    /// Whoever gets the turn has the work done.
    pub(crate) fn push(
        self: &Arc<Self>,
        closed: Option<&AtomicBool>,
        work: impl FnOnce() -> Work,
    ) -> Option<Turn> {
        let mut queue = lock(&self.queue);
        if closed.is_some_and(|closed| closed.load(Ordering::SeqCst)) {
            return None;
        }
        queue.work.push_back(work());
        queue.queued += 1;
        self.pending.store(true, Ordering::Release);
        let drive = || FutureExt::shared(Box::pin(drive(self.clone())) as Work);
        let driver = queue.driver.get_or_insert_with(drive).clone();
        Some(Turn {
            deferred: self.clone(),
            number: queue.queued,
            driver: Some(driver),
            responsible: true,
        })
    }

    /// When all is done that is queued now; `None` if there is nothing to wait for.
    pub(crate) fn turn(self: &Arc<Self>) -> Option<Turn> {
        let queue = lock(&self.queue);
        let driver = queue.driver.clone()?;
        Some(Turn {
            deferred: self.clone(),
            number: queue.queued,
            driver: Some(driver),
            responsible: false,
        })
    }

    fn next(&self) -> Option<Work> {
        let mut queue = lock(&self.queue);
        let next = queue.work.pop_front();
        if next.is_none() {
            self.pending.store(false, Ordering::Release);
            let driver = queue.driver.take();
            queue.handed_on = false;
            drop(queue);
            drop(driver);
        }
        next
    }

    /// Whether this driver has to be handed on. One that another has followed is at its end.
    fn goes_on(&self, driver: &Driven<()>) -> bool {
        let mut queue = lock(&self.queue);
        let current = queue.driver.as_ref();
        current.is_some_and(|current| current.ptr_eq(driver))
            && !std::mem::replace(&mut queue.handed_on, true)
    }

    fn done(&self) {
        let mut queue = lock(&self.queue);
        queue.done += 1;
        let waiting = std::mem::take(&mut queue.waiting);
        drop(queue);
        waiting.into_iter().for_each(Waker::wake);
    }

    fn poll_done(&self, number: u64, waker: &Waker) -> Poll<()> {
        let mut queue = lock(&self.queue);
        if queue.done >= number {
            return Poll::Ready(());
        }
        if !queue.waiting.iter().any(|known| known.will_wake(waker)) {
            queue.waiting.push(waker.clone());
        }
        Poll::Pending
    }
}

async fn drive(deferred: Arc<Deferred>) {
    while let Some(work) = deferred.next() {
        if let Err(panic) = AssertUnwindSafe(work).catch_unwind().await {
            quietly(|| drop(panic));
        }
        deferred.done();
    }
}

/// Ready when the work up to a certain one is done, which it does if nobody else does.
#[must_use]
pub(crate) struct Turn {
    deferred: Arc<Deferred>,
    number: u64,
    driver: Option<Driven<()>>,
    /// Whether the work has to be done even if this is dropped.
    responsible: bool,
}

impl Turn {
    /// Becomes the later one of two turns of a run tree, and gives back one of another.
    pub(super) fn join(&mut self, later: Turn) -> Option<Turn> {
        if !Arc::ptr_eq(&self.deferred, &later.deferred) {
            return Some(later);
        }
        std::mem::replace(self, later).responsible = false;
        None
    }
}

impl Future for Turn {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Asked again after the driver was polled: it may have done just what is waited for here.
        for _ in 0..2 {
            if self.deferred.poll_done(self.number, cx.waker()).is_ready() {
                self.driver = None;
                return Poll::Ready(());
            }
            if poll_once_more(&mut self.driver, cx).is_ready() {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let driver = self.driver.take().filter(|_| self.responsible);
        if let Some(driver) = driver.filter(|driver| self.deferred.goes_on(driver)) {
            hand_on(driver, self.deferred.home.as_ref());
        }
    }
}
