//! The tasks that call the async methods of background handlers. One has a whole lane, and leaves
//! when nothing is left in it for a task.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;

use super::call::quietly;
use super::driven;
use super::lane::{JOBS_IN_A_ROW, Job, Lane, Next};
use super::runtime::Handle;
use crate::BoxFuture;

/// Has a task run the lane, on this runtime if it is one. If there is none at all, what is in the
/// lane stays pending for ever, and counted as such.
pub(super) fn spawn(lane: Arc<Lane>, runtime: Option<&Handle>) {
    driven::spawn(RunsLane { lane, call: None }, runtime);
}

struct RunsLane {
    lane: Arc<Lane>,
    /// The call that is under way.
    call: Option<BoxFuture<'static, ()>>,
}

impl Future for RunsLane {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..JOBS_IN_A_ROW {
            if let Some(call) = &mut self.call {
                let called = ready!(AssertUnwindSafe(call).catch_unwind().poll_unpin(cx));
                let call = self.call.take();
                quietly(|| drop((call, called)));
            }
            match self.lane.next(Job::task) {
                Next::Job((runtime, start), numbered) => {
                    self.call = Some(start(numbered));
                    let moves = runtime.filter(|runtime| !is_here(runtime));
                    if let Some(runtime) = moves {
                        let (lane, call) = (self.lane.clone(), self.call.take());
                        driven::spawn(Self { lane, call }, Some(&runtime));
                        return Poll::Ready(());
                    }
                }
                Next::Elsewhere => {
                    self.lane.go_on();
                    return Poll::Ready(());
                }
                Next::Nothing => return Poll::Ready(()),
            }
        }
        // Others may have something to do, too.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

fn is_here(runtime: &Handle) -> bool {
    Handle::try_current().is_ok_and(|here| here.id() == runtime.id())
}
