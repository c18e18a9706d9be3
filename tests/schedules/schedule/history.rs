//! What happened, in the order in which it was written down.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::ThreadId;

use callbacks::{ErrorKind, RunId};

use super::plan::Verdict;

/// Stands in the payload of what is emitted, so that handlers can be held against emitters.
pub(crate) type Emission = u64;

#[derive(Debug)]
pub(crate) enum Entry {
    /// An emission was polled for the first time.
    Began(Began),
    /// It is a start that honours what handlers decide.
    Asks { emission: Emission },
    /// A handler answered for the run: there is no guard.
    Answered { emission: Emission },
    Returned {
        emission: Emission,
        result: Returned,
    },
    /// It was dropped before it had returned.
    Dropped { emission: Emission },
    /// A guard of this run is about to be dropped, open.
    Closes { run: RunId, panics: bool },
    /// A handler was entered.
    Entered(Call),
    /// It was left.
    Left { call: u64, how: Left },
    /// All drains said that they are done.
    Settled,
}

/// An emission, as whoever emits it knows it.
#[derive(Clone, Debug)]
pub(crate) struct Began {
    pub(crate) emission: Emission,
    pub(crate) what: What,
    pub(crate) method: &'static str,
    pub(crate) run: Arc<Known>,
    /// The handlers that are registered where it is emitted, in this order.
    pub(crate) scope: Vec<usize>,
    /// The call that it is emitted in.
    pub(crate) within: Option<u64>,
    pub(crate) thread: ThreadId,
}

/// A run, as whoever starts it knows it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) id: RunId,
    pub(crate) parent: Option<RunId>,
    pub(crate) root: RunId,
    pub(crate) tags: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Returned {
    Ok,
    /// By the handler of this number.
    Raised(usize),
    /// By a handler that was asked.
    Stopped,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    Well,
    /// Of one that was asked.
    Answered(Verdict),
    Failed,
    /// It was dropped at an await.
    Cut,
}

#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) number: u64,
    pub(crate) handler: usize,
    /// `None` of ends that nobody emitted.
    pub(crate) emission: Option<Emission>,
    /// Who rewrote what it shows, one after another.
    pub(crate) rewritten_by: Vec<usize>,
    pub(crate) what: What,
    pub(crate) method: &'static str,
    /// Of an error that ends a run.
    pub(crate) kind: Option<ErrorKind>,
    pub(crate) run: Known,
    /// The run was over by its own account.
    pub(crate) is_over: bool,
    pub(crate) seq: u64,
    pub(crate) thread: ThreadId,
    pub(crate) on_a_worker: bool,
    /// The thread was in another call.
    pub(crate) is_nested: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum What {
    /// May this start?
    Question,
    Start,
    Other,
    Terminal,
}

#[derive(Debug, Default)]
pub(crate) struct History(Mutex<Vec<Arc<Entry>>>);

impl History {
    pub(crate) fn add(&self, entry: Entry) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.push(Arc::new(entry));
    }

    pub(crate) fn read(&self) -> Vec<Arc<Entry>> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.clone()
    }
}
