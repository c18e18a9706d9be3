//! The closing of a run: one shared future, driven by whoever waits for it, and handed on when the
//! last one stops waiting. So a terminal event, once begun, reaches every handler in full.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::Shared;
use tokio::runtime::Handle;

use super::tree::{Node, Step};
use crate::delivery::{Place, Site, deliver, own_runtime, quietly};
use crate::events::Events;
use crate::events::owned::AnyEvent;
use crate::{BoxFuture, EmitError, EventSet};

pub(super) type Closing = Shared<BoxFuture<'static, Raised>>;

/// The error that the terminal event raised, for whoever closed the run.
pub(super) type Raised = Option<Arc<Mutex<Option<EmitError>>>>;

/// Closes the runs that have to close before, then the run itself.
pub(super) async fn closing(
    node: Arc<Node>,
    steps: Vec<Step>,
    terminal: Option<Arc<AnyEvent>>,
) -> Raised {
    for step in steps {
        match step {
            Step::Closing(closing) => drop(closing.await),
            Step::Abandoned(node, terminal) => {
                let raised = finish(&node, terminal).await;
                // Nobody is there to raise it to; it is logged.
                quietly(|| drop(raised));
            }
        }
    }
    let raised = finish(&node, terminal).await;
    node.forget();
    raised.err().map(|error| Arc::new(Mutex::new(Some(*error))))
}

/// Delivers the terminal event. Whatever happens there, the closing goes on: others wait for it.
async fn finish(node: &Node, terminal: Option<Arc<AnyEvent>>) -> Result<(), Box<EmitError>> {
    let finished = AssertUnwindSafe(deliver_terminal(node, terminal)).catch_unwind();
    finished.await.unwrap_or_else(|panic| {
        quietly(|| drop(panic));
        quietly(|| tracing::error!(run = %node.info.id(), "the closing of a run panicked"));
        Ok(())
    })
}

async fn deliver_terminal(
    node: &Node,
    terminal: Option<Arc<AnyEvent>>,
) -> Result<(), Box<EmitError>> {
    // The start may be on its way to the handlers, on another thread.
    node.started.wait().await;
    let Some(terminal) = terminal else {
        return Ok(());
    };
    let event = Events::view(&terminal);
    let Some(route) = node.registry.route::<Events>(Events::index(&event)) else {
        return Ok(());
    };
    let place = Place {
        closed: None,
        ..node.place()
    };
    deliver(route, &place, &event, Some(&terminal)).await
}

/// Waits for a closing, and hands it on when dropped before the end.
pub(super) struct Wait {
    closing: Option<Closing>,
    node: Arc<Node>,
}

impl Wait {
    pub(super) fn new(closing: Closing, node: Arc<Node>) -> Self {
        Self {
            closing: Some(closing),
            node,
        }
    }
}

impl Future for Wait {
    type Output = Raised;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Raised> {
        poll_once_more(&mut self.closing, cx)
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(closing) = self.closing.take() {
            hand_on(closing, &self.node);
        }
    }
}

/// Has the closing driven in the background.
pub(super) fn hand_on(closing: Closing, node: &Node) {
    let runtime = Handle::try_current()
        .ok()
        .or_else(|| node.tree.runtime.clone());
    match runtime {
        Some(runtime) => drop(runtime.spawn(Background(Some(closing)))),
        None => on_own_runtime(closing),
    }
}

/// A closing on a runtime. One that shuts down drops its tasks; then our own goes on with it.
struct Background(Option<Closing>);

impl Future for Background {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        poll_once_more(&mut self.0, cx).map(drop)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(closing) = self.0.take() {
            on_own_runtime(closing);
        }
    }
}

fn poll_once_more(closing: &mut Option<Closing>, cx: &mut Context<'_>) -> Poll<Raised> {
    let Some(waited) = closing else {
        return Poll::Ready(None);
    };
    let polled = waited.poll_unpin(cx);
    if polled.is_ready() {
        *closing = None;
    }
    polled
}

fn on_own_runtime(closing: Closing) {
    if let Some(runtime) = own_runtime() {
        drop(runtime.spawn(closing));
    }
}
