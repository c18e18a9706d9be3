//! Futures that have to reach their end, whoever stops waiting for them: they are driven by
//! whoever waits, and handed on to a runtime when nobody is left who feels responsible.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use futures_util::future::Shared;

use super::runtime::{Handle, at_hand, own_runtime};
use super::wakers::quiet;
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

/// Polls what is still under way: after its end, it is gone.
pub(crate) fn poll_once_more<T: Clone>(
    driven: &mut Option<Driven<T>>,
    cx: &mut Context<'_>,
) -> Poll<Option<T>> {
    let Some(waited) = driven else {
        return Poll::Ready(None);
    };
    // It wakes under a lock, which a panic would poison for all. (An executor that polls right there what it is
    // woken for waits for that lock: the ends of runs are not for it.)
    let waker = quiet(cx.waker());
    let polled = waited.poll_unpin(&mut Context::from_waker(&waker));
    if polled.is_ready() {
        *driven = None;
    }
    polled.map(Some)
}
