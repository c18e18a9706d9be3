//! The runs that have started and not ended, and the spans they have.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use callbacks::{LlmResult, Run, RunInfo, TokenUsage};
use opentelemetry::Context;

use crate::events::Details;
use crate::metrics::Measured;

/// A run that has started and not ended.
pub(crate) struct OpenRun {
    /// In which its span is the active one. It is passed on, and never attached.
    pub(crate) context: Context,
    /// What the metrics of it are recorded with, if it has any.
    pub(crate) measured: Option<Measured>,
    /// For the event about it, if there will be one.
    pub(crate) details: Option<Details>,
    /// Whether its answer comes piece by piece, if that was said at the start.
    pub(crate) streams: Option<bool>,
    pub(crate) chunks: Chunks,
    /// What the models in it used.
    pub(crate) usage: TokenUsage,
}

impl OpenRun {
    /// How long the first piece of the answer took; `None` if it did not come in pieces.
    pub(crate) fn first_chunk(&self, response: Option<&LlmResult>) -> Option<Duration> {
        // What the stream itself measured is nearer to the matter.
        let measured = response.and_then(|response| response.llm_output.time_to_first_token);
        let first = measured.or(self.chunks.first);
        first.filter(|_| self.streams != Some(false))
    }
}

/// How long the pieces of an answer took.
#[derive(Default)]
pub(crate) struct Chunks {
    /// The first, from the start on.
    first: Option<Duration>,
    /// Each further one, from the one before on. They wait for the end, when it is known which model
    /// answered.
    pub(crate) further: Vec<Duration>,
    last: Option<(u64, SystemTime)>,
}

impl Chunks {
    fn add(&mut self, run: &Run<'_>, now: SystemTime) {
        match self.last {
            // Told by this handler under another parent.
            Some((seq, _)) if seq == run.seq() => return,
            Some((_, before)) => self.further.push(since(before, now)),
            None => self.first = Some(since(run.started_at(), now)),
        }
        self.last = Some((run.seq(), now));
    }
}

/// All of them: by what they are, for two may have the same id.
#[derive(Default)]
pub(crate) struct OpenRuns(HashMap<RunInfo, Kept>);

struct Kept {
    open: OpenRun,
    /// Those that have this one as the nearest around them.
    inside: HashSet<RunInfo>,
}

/// A run that is over.
pub(crate) struct Closed {
    pub(crate) open: OpenRun,
    /// What ran inside, and is over with it: a handler that is narrowed may not hear of it.
    pub(crate) unheard: Vec<OpenRun>,
}

impl OpenRuns {
    /// The nearest run around this one that has a span.
    pub(crate) fn around(&self, run: &RunInfo) -> Option<&OpenRun> {
        run.ancestors().find_map(|run| self.get(run))
    }

    fn around_mut(&mut self, run: &RunInfo) -> Option<&mut Kept> {
        let around = run.ancestors().find(|run| self.contains(run))?;
        self.0.get_mut(around)
    }

    pub(crate) fn contains(&self, run: &RunInfo) -> bool {
        self.0.contains_key(run)
    }

    pub(crate) fn get(&self, run: &RunInfo) -> Option<&OpenRun> {
        self.0.get(run).map(|kept| &kept.open)
    }

    /// What was there is given back, to be dropped where nothing is locked.
    pub(crate) fn insert(&mut self, run: &RunInfo, open: OpenRun) -> Option<OpenRun> {
        if let Some(around) = self.around_mut(run) {
            around.inside.insert(run.clone());
        }
        let kept = Kept {
            open,
            inside: HashSet::new(),
        };
        let before = self.0.insert(run.clone(), kept);
        before.map(|kept| kept.open)
    }

    /// The run is over. What its model used is also used by what is around it.
    pub(crate) fn close(&mut self, run: &RunInfo, usage: Option<&TokenUsage>) -> Option<Closed> {
        let Kept { open, inside } = self.0.remove(run)?;
        if let Some(around) = self.around_mut(run) {
            around.inside.remove(run);
        }
        if let Some(usage) = usage {
            for around in run.ancestors() {
                if let Some(kept) = self.0.get_mut(around) {
                    kept.open.usage += usage;
                }
            }
        }
        let (mut unheard, mut over) = (Vec::new(), Vec::from_iter(inside));
        while let Some(run) = over.pop() {
            if let Some(Kept { open, inside }) = self.0.remove(&run) {
                over.extend(inside);
                unheard.push(open);
            }
        }
        Some(Closed { open, unheard })
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// A piece of an answer came, unless the start said that there are none.
    pub(crate) fn chunk(&mut self, run: &Run<'_>, now: SystemTime) {
        if let Some(Kept { open, .. }) = self.0.get_mut(run.info())
            && open.streams != Some(false)
        {
            open.chunks.add(run, now);
        }
    }
}

/// A clock that was set back in between is as good as none.
pub(crate) fn since(start: SystemTime, end: SystemTime) -> Duration {
    end.duration_since(start).unwrap_or_default()
}
