//! The closing of a run: one shared future, driven by whoever waits for it, and handed on when the
//! last one stops waiting. So a terminal event, once begun, reaches every handler in full.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use tokio::sync::oneshot;

use super::tree::{Node, Step};
use crate::delivery::sync::{Mutex, lock};
use crate::delivery::{
    Driven, Place, Prepared, Receipts, Site, Turn, Waited, as_if_blocked, deliver, hand_on, holds,
    inside, owe, quietly, to_its_end,
};
use crate::events::Events;
use crate::events::owned::AnyEvent;
use crate::{BoxFuture, EmitError, EventSet};

pub(super) type Closing = Driven<Raised>;

/// What the terminal event left behind, if anything, for whoever closed the run.
pub(super) type Raised = Option<Arc<Mutex<Left>>>;

#[derive(Default)]
pub(super) struct Left {
    error: Option<EmitError>,
    /// What the handlers put off.
    turns: Vec<Turn>,
}

/// A terminal event on its way to the handlers that listen to it.
pub(super) struct Terminal {
    event: Arc<AnyEvent>,
    receipts: Box<Receipts>,
}

impl Terminal {
    /// `None` if nobody listens to it.
    pub(super) fn new(node: &Node, event: AnyEvent) -> Option<Self> {
        let index = Events::index(&Events::view(&event));
        let route = node.registry.route::<Events>(index)?;
        Some(Self {
            receipts: Box::new(Receipts::of(route)),
            event: Arc::new(event),
        })
    }
}

/// Closes the runs that have to close before, then the run itself. What was put off before comes
/// before.
pub(super) async fn closing(
    node: Arc<Node>,
    turn: Option<Turn>,
    steps: Vec<Step>,
    terminal: Option<Terminal>,
) -> Raised {
    if let Some(turn) = turn {
        turn.await;
    }
    for step in steps {
        match step {
            Step::Closing(child) if child.is_deep() => apart(child.closing, &node).await,
            Step::Closing(child) => ended(child.closing).await,
            Step::Abandoned(run, terminal) => {
                let left = finish(&run.node, terminal).await;
                // Nobody is there to raise it to; it is logged. The run may be the last to have its handlers.
                quietly(|| drop(left));
                quietly(|| drop(run));
            }
        }
    }
    let left = finish(&node, terminal).await;
    let nothing = left.error.is_none() && left.turns.is_empty();
    (!nothing).then(|| Arc::new(Mutex::new(left)))
}

/// Waits for a closing, whatever that raises.
async fn ended(closing: Closing) {
    let raised = closing.await;
    quietly(|| drop(raised));
}

/// Has a closing driven by others, and waits for it without polling it. So they have to go on even where a
/// thread comes to wait.
async fn apart(closing: Closing, node: &Node) {
    let (done, waits) = oneshot::channel();
    let driven = async move {
        ended(closing).await;
        // Nobody may wait any more.
        let _ = done.send(());
    };
    let driven: BoxFuture<'static, ()> = Box::pin(driven);
    as_if_blocked(|| hand_on(driven.shared(), node.tree.sequencer.home.as_ref()));
    // What cannot be driven any more is not waited for either.
    let _ = waits.await;
}

/// Delivers the terminal event. Whatever happens there, the closing goes on: others wait for it.
async fn finish(node: &Node, terminal: Option<Terminal>) -> Left {
    let finished = to_its_end(deliver_terminal(node, terminal));
    finished.await.unwrap_or_else(|| {
        quietly(|| tracing::error!(run = %node.info.id(), "the closing of a run panicked"));
        Left::default()
    })
}

async fn deliver_terminal(node: &Node, terminal: Option<Terminal>) -> Left {
    // The start may be on its way to the handlers, on another thread.
    node.started.wait().await;
    let Some(Terminal { event, receipts }) = terminal else {
        return Left::default();
    };
    let view = Events::view(&event);
    let Some(route) = node.registry.route::<Events>(Events::index(&view)) else {
        return Left::default();
    };
    let place = Place {
        closed: None,
        ..node.place()
    };
    let prepared = Prepared {
        owned: Some(event.clone()),
        receipts: Some(receipts),
        passes: true,
        detached: true,
        on_lanes: false,
    };
    let delivered = deliver(route, &place, &view, prepared).await;
    let mut aftermath = delivered.unwrap_or_default();
    let turns = aftermath.take_turns();
    let raised = aftermath.raise(&route.order);
    let error = raised.err().map(|error| *error);
    Left { error, turns }
}

/// Closes a run with this event, and waits for that.
pub(super) async fn close(node: Arc<Node>, terminal: Option<AnyEvent>) -> Result<(), EmitError> {
    let Some(closing) = node.close(terminal)? else {
        return Ok(());
    };
    if inside() {
        set_off(closing, &node);
        return Ok(());
    }
    let Some(left) = WaitForClosing::new(closing, node).await else {
        return Ok(());
    };
    let left = std::mem::take(&mut *lock(&left));
    for turn in left.turns {
        turn.await;
    }
    left.error.map_or(Ok(()), Err)
}

/// Closes a run with this event, unless it is closed, and waits for nobody; where a thread may wait later that
/// the runtime at hand needs, by what goes on all the same.
pub(super) fn close_unwaited(node: &Arc<Node>, terminal: Option<AnyEvent>, blocking: bool) {
    let close = || {
        if let Ok(Some(closing)) = node.close(terminal) {
            set_off(closing, node);
        }
    };
    if blocking {
        as_if_blocked(close);
    } else {
        close();
    }
}

/// Has a closing driven that nobody waits for. Inside a callback it comes when it is its turn.
fn set_off(closing: Closing, node: &Node) {
    let sequencer = &node.tree.sequencer;
    if inside() {
        let turn = sequencer
            .deferred
            .push(None, holds(), || Box::pin(ended(closing)));
        turn.into_iter().for_each(owe);
    } else {
        hand_on(closing, sequencer.home.as_ref());
    }
}

/// Waits for a closing, and sets it off when dropped before the end.
struct WaitForClosing {
    closing: Waited<Raised>,
    node: Arc<Node>,
}

impl WaitForClosing {
    fn new(closing: Closing, node: Arc<Node>) -> Self {
        Self {
            closing: Waited::new(closing),
            node,
        }
    }
}

impl Future for WaitForClosing {
    type Output = Raised;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Raised> {
        self.closing.poll(cx).map(Option::flatten)
    }
}

impl Drop for WaitForClosing {
    fn drop(&mut self) {
        if let Some(closing) = self.closing.take() {
            set_off(closing, &self.node);
        }
    }
}
