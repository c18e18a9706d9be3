//! Futures that have to reach their end, whoever stops waiting for them: they are driven by
//! whoever waits, and handed on to a runtime when nobody is left who feels responsible.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::Shared;

use super::runtime::{Handle, at_hand, own_runtime};
use crate::BoxFuture;

/// Such a future, for one of those who wait for it.
pub(crate) type Driven<T> = Shared<BoxFuture<'static, T>>;

/// Has it driven in the background: by the runtime at hand, or else by `home`.
pub(crate) fn hand_on<T: Clone + Send + Sync + 'static>(driven: Driven<T>, home: Option<&Handle>) {
    let here = at_hand();
    match here.as_ref().or(home) {
        Some(runtime) => drop(runtime.spawn(Background(Some(driven)))),
        None => on_own_runtime(driven),
    }
}

/// A driven future on a runtime. One that shuts down drops its tasks; then our own goes on with it.
struct Background<T: Clone + Send + Sync + 'static>(Option<Driven<T>>);

impl<T: Clone + Send + Sync + 'static> Future for Background<T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        poll_once_more(&mut self.0, cx).map(drop)
    }
}

impl<T: Clone + Send + Sync + 'static> Drop for Background<T> {
    fn drop(&mut self) {
        if let Some(driven) = self.0.take() {
            on_own_runtime(driven);
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
    let polled = waited.poll_unpin(cx);
    if polled.is_ready() {
        *driven = None;
    }
    polled.map(Some)
}

fn on_own_runtime<T: Clone + Send + Sync + 'static>(driven: Driven<T>) {
    if let Some(runtime) = own_runtime() {
        drop(runtime.spawn(driven));
    }
}
