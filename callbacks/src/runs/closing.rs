//! The closing of a run: one shared future, driven by whoever waits for it, and handed on when the
//! last one stops waiting. So a terminal event, once begun, reaches every handler in full.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::thread;

use futures_util::FutureExt;
use futures_util::future::Shared;
use tokio::runtime::{Builder, Handle};

use super::tree::{Node, Step};
use crate::delivery::{Place, Site, deliver};
use crate::events::Events;
use crate::events::owned::AnyEvent;
use crate::{BoxFuture, EventSet};

pub(super) type Closing = Shared<BoxFuture<'static, ()>>;

/// Closes the runs that have to close before, then the run itself.
pub(super) fn closing(
    node: Arc<Node>,
    steps: Vec<Step>,
    terminal: Option<Arc<AnyEvent>>,
) -> Closing {
    let closing: BoxFuture<'static, ()> = Box::pin(async move {
        for step in steps {
            match step {
                Step::Closing(closing) => closing.await,
                Step::Abandoned(node, terminal) => finish(&node, terminal).await,
            }
        }
        finish(&node, terminal).await;
        node.forget();
    });
    closing.shared()
}

/// Delivers the terminal event.
async fn finish(node: &Node, terminal: Option<Arc<AnyEvent>>) {
    // The start may be on its way to the handlers, on another thread.
    node.started.wait().await;
    let Some(terminal) = terminal else { return };
    let event = Events::view(&terminal);
    let Some(route) = node.registry.route::<Events>(Events::index(&event)) else {
        return;
    };
    let place = Place {
        closed: None,
        ..node.place()
    };
    // It can only fail in a run that is closed, and this place does not ask.
    let _ = deliver(route, &place, &event, Some(&terminal)).await;
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
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
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
        poll_once_more(&mut self.0, cx)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(closing) = self.0.take() {
            on_own_runtime(closing);
        }
    }
}

fn poll_once_more(closing: &mut Option<Closing>, cx: &mut Context<'_>) -> Poll<()> {
    let Some(waited) = closing else {
        return Poll::Ready(());
    };
    let polled = waited.poll_unpin(cx);
    if polled.is_ready() {
        *closing = None;
    }
    polled
}

/// A runtime of the crate's own, for closings that no other runtime is left for. It holds no state
/// between them, and is kept: connections that handlers pooled on it stay alive.
fn on_own_runtime(closing: Closing) {
    static RUNTIME: OnceLock<Option<Handle>> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| match start_own_runtime() {
        Ok(handle) => Some(handle),
        Err(error) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "no thread to close runs on; their terminal events are lost",
            );
            None
        }
    });
    if let Some(runtime) = runtime {
        drop(runtime.spawn(closing));
    }
}

fn start_own_runtime() -> std::io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new()
        .name("callbacks-runtime".to_owned())
        .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
    Ok(handle)
}
