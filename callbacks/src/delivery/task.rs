//! The tasks that call the async methods of background handlers. One has a whole lane, and leaves
//! when nothing is left in it for a task.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;

use super::call::quietly;
use super::lane::{JOBS_IN_A_ROW, Job, Lane, Next};
use super::runtime::{Handle, own_runtime};
use crate::BoxFuture;

/// Has a task run the lane, on this runtime if it is one.
pub(super) fn spawn(lane: Arc<Lane>, runtime: Option<&Handle>) {
    let runs = Runs {
        lane: Some(lane),
        call: None,
    };
    runs.spawn(runtime);
}

struct Runs {
    /// Gone when there is nothing more to do with it.
    lane: Option<Arc<Lane>>,
    /// The call that is under way.
    call: Option<BoxFuture<'static, ()>>,
}

impl Runs {
    fn spawn(mut self, runtime: Option<&Handle>) {
        let runtime = match runtime {
            Some(runtime) => Some(runtime),
            None => own_runtime(),
        };
        match runtime {
            Some(runtime) => drop(runtime.spawn(self)),
            // What is in the lane stays pending for ever, and counted as such.
            None => self.lane = None,
        }
    }
}

impl Future for Runs {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        for _ in 0..JOBS_IN_A_ROW {
            if let Some(call) = &mut self.call {
                let called = ready!(AssertUnwindSafe(call).catch_unwind().poll_unpin(cx));
                let call = self.call.take();
                quietly(|| drop((call, called)));
            }
            let Some(lane) = &self.lane else {
                return Poll::Ready(());
            };
            match lane.next(Job::task) {
                Next::Job((runtime, start), numbered) => {
                    self.call = Some(start(numbered));
                    let moves = runtime.filter(|runtime| !is_here(runtime));
                    if let Some(runtime) = moves {
                        let lane = self.lane.take();
                        let call = self.call.take();
                        Self { lane, call }.spawn(Some(&runtime));
                        return Poll::Ready(());
                    }
                }
                Next::Elsewhere => {
                    if let Some(lane) = self.lane.take() {
                        lane.go_on();
                    }
                }
                Next::Nothing => self.lane = None,
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

impl Drop for Runs {
    /// A runtime that shuts down drops its tasks; then our own goes on with this one.
    fn drop(&mut self) {
        if let Some(lane) = self.lane.take() {
            let call = self.call.take();
            let runs = Self {
                lane: Some(lane),
                call,
            };
            runs.spawn(None);
        }
    }
}
