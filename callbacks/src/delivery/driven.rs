//! Futures that have to reach their end, whoever stops waiting for them: they are driven by
//! whoever waits, and handed on to a runtime when nobody is left who feels responsible.

use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use futures_util::future::{OptionFuture, Shared};

use super::call::quietly;
use super::runtime::{Handle, at_hand, own_runtime};
use super::wakers::QuietWaker;
use crate::BoxFuture;

/// Such a future, for one of those who wait for it.
pub(crate) type Driven<T> = Shared<BoxFuture<'static, T>>;

/// Has it driven in the background: by the runtime at hand, or else by `home`.
pub(crate) fn hand_on<T: Clone + Send + Sync + 'static>(driven: Driven<T>, home: Option<&Handle>) {
    spawn(driven, at_hand().as_ref().or(home));
}

/// Has a task drive a future: on this runtime, or else on our own. If there is neither, it is
/// dropped.
pub(super) fn spawn<F>(future: F, runtime: Option<&Handle>)
where
    F: Future<Output: Send> + Unpin + Send + 'static,
{
    match runtime {
        Some(runtime) => drop(runtime.spawn(Background(Some(future)))),
        None => spawn_on_own(future),
    }
}

fn spawn_on_own<F: Future<Output: Send> + Send + 'static>(future: F) {
    if let Some(runtime) = own_runtime() {
        drop(runtime.spawn(future));
    }
}

/// A future on a runtime. One that shuts down drops its tasks; then our own goes on with it.
struct Background<F: Future<Output: Send> + Unpin + Send + 'static>(Option<F>);

impl<F: Future<Output: Send> + Unpin + Send + 'static> Future for Background<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(future) = &mut self.0 {
            let output = ready!(future.poll_unpin(cx));
            self.0 = None;
            drop(output);
        }
        Poll::Ready(())
    }
}

impl<F: Future<Output: Send> + Unpin + Send + 'static> Drop for Background<F> {
    fn drop(&mut self) {
        if let Some(future) = self.0.take() {
            spawn_on_own(future);
        }
    }
}

/// Such a future, for who waits for it with a waker that may be anybody's. After its end, it is gone.
///
/// (It wakes under a lock, and is polled under it: an executor that polls what it is woken for right there waits
/// for itself.)
pub(crate) struct Waited<T: Clone> {
    driven: Option<Driven<T>>,
    waker: QuietWaker,
}

impl<T: Clone> Waited<T> {
    pub(crate) fn new(driven: Driven<T>) -> Self {
        Self {
            driven: Some(driven),
            waker: QuietWaker::default(),
        }
    }

    /// `None` if it is gone.
    pub(crate) fn poll(&mut self, cx: &Context<'_>) -> Poll<Option<T>> {
        let Some(driven) = &mut self.driven else {
            return Poll::Ready(None);
        };
        let output = ready!(self.waker.poll(Pin::new(driven), cx));
        self.driven = None;
        Poll::Ready(Some(output))
    }

    /// What is still under way.
    pub(crate) fn take(&mut self) -> Option<Driven<T>> {
        self.driven.take()
    }
}

/// Runs a future of which code of users is a part, and drops it. `None` if it panicked.
pub(crate) async fn to_its_end<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(OptionFuture::from(Some(future)));
    let ended = AssertUnwindSafe(future.as_mut()).catch_unwind().await;
    quietly(|| future.set(None.into()));
    ended.unwrap_or_else(|panic| {
        quietly(|| drop(panic));
        None
    })
}
