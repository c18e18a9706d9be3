//! The runs that have started and not ended, and the spans they have.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use callbacks::{RunId, RunInfo, TokenUsage};
use opentelemetry::Context;

use crate::metrics::Measured;
use crate::recording::Details;

/// A run that has started and not ended.
pub(crate) struct OpenRun {
    /// In which its span is the active one. It is passed on, and never attached.
    pub(crate) context: Context,
    /// What the metrics of it are recorded with, if it has any.
    pub(crate) measured: Option<Measured>,
    /// For the event about it, if there will be one.
    pub(crate) details: Option<Details>,
    /// Whether it was said at the start that the answer comes piece by piece.
    pub(crate) streams: bool,
    /// How long the first piece of its answer took.
    pub(crate) first_chunk: Option<Duration>,
    /// What the models in an agent used.
    pub(crate) usage: TokenUsage,
}

/// All of them.
#[derive(Default)]
pub(crate) struct OpenRuns(HashMap<RunId, OpenRun>);

impl OpenRuns {
    /// The nearest run around this one that has a span.
    pub(crate) fn around(&self, run: &RunInfo) -> Option<&OpenRun> {
        ancestors(run).find_map(|run| self.0.get(&run.id()))
    }

    pub(crate) fn contains(&self, run: RunId) -> bool {
        self.0.contains_key(&run)
    }

    pub(crate) fn get(&self, run: RunId) -> Option<&OpenRun> {
        self.0.get(&run)
    }

    /// What was there is given back, to be dropped where nothing is locked.
    pub(crate) fn insert(&mut self, run: RunId, open: OpenRun) -> Option<OpenRun> {
        self.0.insert(run, open)
    }

    pub(crate) fn remove(&mut self, run: RunId) -> Option<OpenRun> {
        self.0.remove(&run)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no piece of the answer has come yet.
    pub(crate) fn awaits_chunk(&self, run: RunId) -> bool {
        self.get(run).is_some_and(|open| open.first_chunk.is_none())
    }

    /// The first piece of the answer came, after this time.
    pub(crate) fn first_chunk(&mut self, run: RunId, after: Duration) {
        if let Some(open) = self.0.get_mut(&run) {
            open.first_chunk.get_or_insert(after);
        }
    }

    /// What a model used is also used by the agents around it.
    pub(crate) fn used(&mut self, run: &RunInfo, usage: &TokenUsage) {
        for around in ancestors(run) {
            if let Some(open) = self.0.get_mut(&around.id()) {
                open.usage += usage;
            }
        }
    }
}

fn ancestors(run: &RunInfo) -> impl Iterator<Item = &RunInfo> {
    std::iter::successors(run.parent(), |run| run.parent())
}

/// A clock that was set back in between is as good as none.
pub(crate) fn since(start: SystemTime, end: SystemTime) -> Duration {
    end.duration_since(start).unwrap_or_default()
}
