//! The open runs of one tree. Parents open before their children and close after them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use tokio::sync::SetOnce;

use super::DEEP;
use super::closing::{Closing, Raised, Terminal, closing};
use super::kinds::Family;
use crate::delivery::sync::{AtomicBool, Mutex, lock};
use crate::delivery::{Place, Registry, Sequencer, Site, Surroundings, quietly, to_its_end};
use crate::events::owned::AnyEvent;
use crate::payload::{ErrorKind, RunError};
use crate::{BoxFuture, EmitError, Live, RunInfo};

/// A tree of runs: what they have in common.
pub(crate) struct Tree {
    pub(crate) sequencer: Arc<Sequencer>,
    open: Mutex<Open>,
}

/// By key; keys grow, so children have greater ones than their parents.
#[derive(Default)]
struct Open {
    runs: BTreeMap<u64, OpenRun>,
    next: u64,
}

pub(super) struct OpenRun {
    pub(super) node: Arc<Node>,
    _live: Live,
    parent: Option<u64>,
    children: BTreeSet<u64>,
    /// Present from the moment that the run began to close.
    closing: Option<UnderWay>,
}

/// A run that somebody listens to, or whose id or callbacks were asked for.
pub(crate) struct Node {
    pub(crate) info: RunInfo,
    pub(crate) tree: Arc<Tree>,
    pub(crate) registry: Arc<Registry>,
    /// What its terminal event says beside the outcome.
    pub(super) family: Family,
    /// Set when the start has reached every handler. A terminal event waits for it.
    pub(super) started: SetOnce<()>,
    closed: AtomicBool,
    key: u64,
}

/// The closing of a run that has begun.
#[derive(Clone)]
pub(super) struct UnderWay {
    pub(super) closing: Closing,
    /// How many closings poll one another in it.
    pub(super) depth: usize,
}

/// A run that closes before the one it was started in.
pub(super) enum Step {
    /// By itself, already.
    Closing(UnderWay),
    /// Because of it.
    Abandoned(OpenRun, Option<Terminal>),
}

impl Tree {
    pub(crate) fn new() -> Arc<Self> {
        Self::of(Sequencer::new())
    }

    pub(super) fn of(sequencer: Arc<Sequencer>) -> Arc<Self> {
        Arc::new(Self {
            sequencer,
            open: Mutex::default(),
        })
    }

    /// Opens a run in `parent`, or at the root. In a parent that is closed it never opens: that is
    /// the error. (A run that did open can be closed by now, and has a start to come.)
    ///
    /// `opened` is called before it can be closed, under a lock.
    pub(super) fn open(
        self: &Arc<Self>,
        parent: Option<&Node>,
        registry: Arc<Registry>,
        family: Family,
        live: Live,
        opened: impl FnOnce(&Arc<Node>),
    ) -> Result<Arc<Node>, Arc<Node>> {
        let mut open = lock(&self.open);
        let key = open.next;
        open.next += 1;
        let parent = parent.map(|parent| parent.key);
        let closed = parent.is_some_and(|parent| !open.adopt(parent, key));
        let node = Arc::new(Node {
            info: RunInfo::clone(&live),
            tree: self.clone(),
            registry,
            family,
            started: SetOnce::new(),
            closed: AtomicBool::new(closed),
            key,
        });
        if closed {
            return Err(node);
        }
        let run = OpenRun {
            node: node.clone(),
            _live: live,
            parent,
            children: BTreeSet::new(),
            closing: None,
        };
        open.runs.insert(key, run);
        opened(&node);
        Ok(node)
    }
}

impl Site for Node {
    /// Where the run's events are emitted.
    fn place(&self) -> Place<'_> {
        Place {
            registry: &self.registry,
            info: &self.info,
            sequencer: &self.tree.sequencer,
            closed: Some(&self.closed),
        }
    }
}

impl Node {
    /// The start has reached every handler.
    pub(super) fn begin(&self) {
        // It is set once.
        let _ = self.started.set(());
    }

    /// Begins to close the run with this terminal event: first what is still open in it, deepest
    /// first, then itself. Whoever is first decides how. `None` if there is nothing to deliver.
    pub(super) fn close(
        self: &Arc<Self>,
        terminal: Option<AnyEvent>,
    ) -> Result<Option<Closing>, EmitError> {
        // What surrounds this code is asked of code of users, so not under the lock.
        let surroundings = Surroundings::here();
        let mut open = lock(&self.tree.open);
        if !open.is_open(self.key) {
            return Err(EmitError::RunClosed);
        }
        self.closed.store(true, Ordering::SeqCst);
        let below = open.descendants(self.key);
        let steps = below.into_iter().filter_map(|key| open.abandon(key));
        let steps = steps.collect::<Vec<_>>();
        let terminal = terminal.and_then(|event| Terminal::new(self, event));
        if steps.is_empty() && terminal.is_none() {
            open.remove(self.key);
            return Ok(None);
        }
        // Whoever drives it, the handlers find what surrounded the code that closed the run.
        let turn = self.tree.sequencer.deferred.turn();
        let depth = 1 + steps.iter().map(Step::depth).max().unwrap_or_default();
        let closing = closing(self.clone(), turn, steps, terminal);
        let closing = surroundings.around(closing);
        let node = self.clone();
        let closing: BoxFuture<'static, Raised> = Box::pin(async move {
            let raised = to_its_end(closing).await.flatten();
            node.forget();
            // It may be the last to have the handlers.
            quietly(|| drop(node));
            raised
        });
        let closing = closing.shared();
        if let Some(run) = open.runs.get_mut(&self.key) {
            let closing = closing.clone();
            run.closing = Some(UnderWay { closing, depth });
        }
        Ok(Some(closing))
    }

    /// Takes the closed run out of the tree.
    pub(super) fn forget(&self) {
        lock(&self.tree.open).remove(self.key);
    }

    /// An error event of the run, if anybody listens to it.
    pub(super) fn error(&self, error: RunError) -> Option<AnyEvent> {
        let wanted = self.family.wants_error(&self.registry);
        wanted.then(|| self.family.error(error, None))
    }
}

impl UnderWay {
    /// Whether it is to be driven apart from whoever waits for it. Runs can be nested deeply: polls and
    /// wakes through all of them would overflow the stack.
    pub(super) fn is_deep(&self) -> bool {
        self.depth >= DEEP
    }
}

impl Step {
    /// How many closings poll one another in it.
    fn depth(&self) -> usize {
        match self {
            Self::Closing(closing) if !closing.is_deep() => closing.depth,
            Self::Closing(_) | Self::Abandoned(..) => 0,
        }
    }
}

impl Open {
    fn is_open(&self, key: u64) -> bool {
        self.runs.get(&key).is_some_and(|run| run.closing.is_none())
    }

    /// Makes `child` a child of `parent`, if that is open.
    fn adopt(&mut self, parent: u64, child: u64) -> bool {
        match self.runs.get_mut(&parent) {
            Some(parent) if parent.closing.is_none() => parent.children.insert(child),
            _ => false,
        }
    }

    /// The runs below this one that it has to close or wait for, the deepest first.
    fn descendants(&self, key: u64) -> Vec<u64> {
        let mut keys = vec![key];
        let mut at = 0;
        while let Some(run) = keys.get(at).and_then(|key| self.runs.get(key)) {
            // What is closing closes what is in it.
            if run.closing.is_none() {
                keys.extend(&run.children);
            }
            at += 1;
        }
        keys.reverse();
        keys.pop();
        keys
    }

    fn abandon(&mut self, key: u64) -> Option<Step> {
        let run = self.runs.get(&key)?;
        if let Some(closing) = &run.closing {
            return Some(Step::Closing(closing.clone()));
        }
        let run = self.remove(key)?;
        let node = &run.node;
        node.closed.store(true, Ordering::SeqCst);
        let error = RunError::new("the run was still open when the run around it closed");
        let terminal = node.error(error.with_kind(ErrorKind::Abandoned));
        let terminal = terminal.and_then(|event| Terminal::new(node, event));
        Some(Step::Abandoned(run, terminal))
    }

    fn remove(&mut self, key: u64) -> Option<OpenRun> {
        let run = self.runs.remove(&key)?;
        if let Some(parent) = run.parent.and_then(|parent| self.runs.get_mut(&parent)) {
            parent.children.remove(&key);
        }
        Some(run)
    }
}
