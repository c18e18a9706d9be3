//! Futures that are polled as a test wants it.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// Lets others go first, so many times, on any executor.
pub async fn yields(mut times: usize) {
    poll_fn(|cx| {
        if times == 0 {
            return Poll::Ready(());
        }
        times -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// How many of so many futures leave the waker behind that they were polled with, when they are
/// dropped again.
///
/// # Panics
///
/// If one of them is ready.
pub fn wakers_left<F: Future>(count: usize, future: impl Fn() -> F) -> usize {
    struct WakesNobody;

    impl Wake for WakesNobody {
        fn wake(self: Arc<Self>) {}
    }

    let polled = |_| {
        let counted = Arc::new(WakesNobody);
        let waker = Waker::from(counted.clone());
        let polled = pin!(future()).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        counted
    };
    let all: Vec<_> = (0..count).map(polled).collect();
    let left = all.iter().filter(|counted| Arc::strong_count(counted) > 1);
    left.count()
}
