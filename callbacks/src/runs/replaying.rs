//! Runs that were recorded, once more: each event in the run, with the number and at the time that it had. They open
//! and close as all runs do, so that each that starts ends, wherever the recording stops.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use super::closing::{close, close_unwaited};
use super::kinds::Family;
use super::opener::{Begins, deliver_start};
use super::part::ends_run;
use super::tree::{Node, Tree};
use crate::delivery::{Place, Prepared, Registry, Sequencer, Site, deliver, quietly};
use crate::events::Events;
use crate::events::owned::AnyEvent;
use crate::payload::{ErrorKind, RunError};
use crate::{Callbacks, EmitError, EventSet, Live, Record, RunInfo};

/// So many trees are kept without looking for those that nothing more comes of.
const KEPT: usize = 64;

/// A replay that is on its way.
pub(crate) struct Replaying {
    /// What runs get that have no run around them; the others get what is inherited of it.
    registry: Arc<Registry>,
    /// By the outermost run.
    trees: HashMap<RunInfo, Arc<Tree>>,
    /// How many trees there may be before those are looked for that nothing more comes of.
    enough: usize,
    /// With how many runs had started before.
    open: HashMap<RunInfo, (u64, Arc<Node>)>,
    started: u64,
    /// Whether whoever replays waits with a thread.
    blocking: bool,
}

impl Replaying {
    pub(crate) fn new(callbacks: &Callbacks, blocking: bool) -> Self {
        Self {
            registry: callbacks.registry(),
            trees: HashMap::new(),
            enough: KEPT,
            open: HashMap::new(),
            started: 0,
            blocking,
        }
    }

    /// Delivers the event, and returns when the handlers that are waited for are done with it.
    pub(crate) async fn send(&mut self, record: Record) -> Result<(), EmitError> {
        let info = record.run().clone();
        let ends = ends_run(&record.event());
        let tree = self.tree(&info, record.time());
        tree.sequencer.skip_to(record.seq(), record.time());
        if ends && info.parent().is_none() {
            self.trees.remove(&info);
        }
        let event = record.into_owned();
        if let Some(family) = Family::of_start(&event) {
            if let Some((_, node)) = self.open.remove(&info) {
                let error = node.error(unended("the run starts again before it ends"));
                close(node, error).await?;
            }
            self.start(&tree, info, family, event).await
        } else if ends && let Some((_, node)) = self.open.remove(&info) {
            close(node, Some(Arc::unwrap_or_clone(event))).await
        } else {
            self.emit(&tree, &info, event, ends).await
        }
    }

    async fn start(
        &mut self,
        tree: &Arc<Tree>,
        info: RunInfo,
        family: Family,
        event: Arc<AnyEvent>,
    ) -> Result<(), EmitError> {
        // One whose start is not in the recording opens and closes nothing.
        let parent = info.ancestors().find_map(|run| self.open.get(run));
        let parent = parent.map(|(_, node)| &**node);
        let registry = self.registry_of(&info).clone();
        let node = tree.open(parent, registry, family, info.clone().into(), |_| {});
        let node = node.map_err(|_| EmitError::RunClosed)?;
        self.open.insert(info, (self.started, node.clone()));
        self.started += 1;
        let view = Events::view(&event);
        let started = deliver_start(Begins(node), &view, Some(event.clone()));
        started.await.map_err(|error| *error)
    }

    /// Delivers what opens and closes no run here. Its run may be one whose start is not in the recording,
    /// so even an end comes here.
    async fn emit(
        &self,
        tree: &Tree,
        info: &RunInfo,
        event: Arc<AnyEvent>,
        passes: bool,
    ) -> Result<(), EmitError> {
        let registry = self.registry_of(info);
        let _live = Live::from(info.clone());
        let view = Events::view(&event);
        let Some(route) = registry.route::<Events>(Events::index(&view)) else {
            return Ok(());
        };
        let place = match self.open.get(info) {
            Some((_, node)) => node.place(),
            None => Place {
                registry,
                info,
                sequencer: &tree.sequencer,
                closed: None,
            },
        };
        let prepared = Prepared {
            owned: Some(event.clone()),
            passes,
            ..Prepared::default()
        };
        let delivered = deliver(route, &place, &view, prepared).await;
        let raised = delivered.and_then(|aftermath| aftermath.raise(&route.order));
        raised.map_err(|error| *error)
    }

    /// Closes what is still open with this error, and says what that was, in the order of the starts.
    /// What handlers raise there is logged and counted, as it is where a run closes those inside it.
    pub(crate) async fn close(&mut self, why: &str) -> Vec<RunInfo> {
        let open: Vec<_> = self.newest_first().map(|node| node.info.clone()).collect();
        for info in &open {
            if let Some((_, node)) = self.open.remove(info) {
                let error = node.error(unended(why));
                // It is closed by now, if a run around it has closed with it.
                let raised = close(node, error).await;
                quietly(|| drop(raised));
            }
        }
        open.into_iter().rev().collect()
    }

    /// The open runs: those inside others come before them.
    fn newest_first(&self) -> impl Iterator<Item = &Arc<Node>> {
        let mut open: Vec<_> = self.open.values().collect();
        open.sort_by_key(|(started, _)| Reverse(*started));
        open.into_iter().map(|(_, node)| node)
    }

    fn registry_of(&self, run: &RunInfo) -> &Arc<Registry> {
        match run.parent() {
            None => &self.registry,
            Some(_) => self.registry.inherited(),
        }
    }

    fn tree(&mut self, run: &RunInfo, time: SystemTime) -> Arc<Tree> {
        let root = run.root();
        if let Some(tree) = self.trees.get(root) {
            return tree.clone();
        }
        if self.trees.len() >= self.enough {
            self.trees.retain(|root, _| !root.is_forgotten());
            self.enough = KEPT.max(2 * self.trees.len());
        }
        let tree = Tree::of(Sequencer::replaying(time));
        self.trees.insert(root.clone(), tree.clone());
        tree
    }
}

impl Drop for Replaying {
    /// A replay that is dropped midway closes what is open, without waiting for the handlers.
    fn drop(&mut self) {
        for node in self.newest_first() {
            let error = node.error(unended("the replay was dropped before its end"));
            close_unwaited(node, error, self.blocking);
        }
    }
}

fn unended(message: &str) -> RunError {
    RunError::new(message).with_kind(ErrorKind::Dropped)
}
