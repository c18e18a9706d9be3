//! The runs that have started and not ended, and the spans they have.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use callbacks::{Run, RunInfo, TokenUsage};
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
    /// Whether the answer comes piece by piece, as far as the start said so.
    pub(crate) streams: Option<bool>,
    pub(crate) chunks: Chunks,
    /// What the models in an agent used.
    pub(crate) usage: TokenUsage,
}

/// When the pieces of an answer came.
#[derive(Default)]
pub(crate) struct Chunks {
    /// How long the first took.
    pub(crate) first: Option<Duration>,
    /// How long each further one took, in seconds.
    pub(crate) further: Vec<f64>,
    /// The number of the last one's event, and its time.
    last: Option<(u64, SystemTime)>,
}

impl Chunks {
    fn add(&mut self, run: &Run<'_>, now: SystemTime) {
        match self.last {
            // A clone of the handler has heard of it.
            Some((seq, _)) if seq == run.seq() => return,
            Some((_, before)) => self.further.push(since(before, now).as_secs_f64()),
            None => self.first = Some(since(run.started_at(), now)),
        }
        self.last = Some((run.seq(), now));
    }
}

/// All of them. Not by their ids, which are the emitter's, who may use one twice.
#[derive(Default)]
pub(crate) struct OpenRuns(HashMap<RunInfo, OpenRun>);

impl OpenRuns {
    /// The nearest run around this one that has a span.
    pub(crate) fn around(&self, run: &RunInfo) -> Option<&OpenRun> {
        ancestors(run).find_map(|run| self.0.get(run))
    }

    pub(crate) fn contains(&self, run: &RunInfo) -> bool {
        self.0.contains_key(run)
    }

    pub(crate) fn get(&self, run: &RunInfo) -> Option<&OpenRun> {
        self.0.get(run)
    }

    /// What was there is given back, to be dropped where nothing is locked.
    pub(crate) fn insert(&mut self, run: RunInfo, open: OpenRun) -> Option<OpenRun> {
        self.0.insert(run, open)
    }

    pub(crate) fn remove(&mut self, run: &RunInfo) -> Option<OpenRun> {
        self.0.remove(run)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// A piece of the answer came.
    pub(crate) fn chunk(&mut self, run: &Run<'_>, now: SystemTime) {
        if let Some(open) = self.0.get_mut(run.info())
            && open.streams != Some(false)
        {
            open.chunks.add(run, now);
        }
    }

    /// What a model used is also used by the agents around it.
    pub(crate) fn used(&mut self, run: &RunInfo, usage: &TokenUsage) {
        for around in ancestors(run) {
            if let Some(open) = self.0.get_mut(around) {
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
