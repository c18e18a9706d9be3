//! What is kept of a run that has started and not ended: its span, and what is measured.

use std::time::{Duration, SystemTime};

use callbacks::{LlmResult, Run, TokenUsage};
use opentelemetry::trace::{Status, TraceContextExt};
use opentelemetry::{Context, KeyValue};

use crate::events::Details;
use crate::metrics::Measured;
use crate::names;

/// A run that has started and not ended.
pub(crate) struct OpenRun {
    /// In which its span is the active one. It is passed on, and never attached.
    pub(crate) context: Context,
    pub(crate) started_at: SystemTime,
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

    /// Nothing was heard of how it ended, so it is not to look as if it had gone well.
    pub(crate) fn end_unheard(&self, end: SystemTime) {
        let span = self.context.span();
        span.set_attribute(KeyValue::new(names::ERROR_TYPE, names::OTHER));
        span.set_status(Status::error("its end was not heard"));
        // A clock that was set back in between is as good as none.
        span.end_with_timestamp(end.max(self.started_at));
    }

    /// A piece of an answer came, unless the start said that there are none.
    pub(crate) fn chunk(&mut self, run: &Run<'_>, now: SystemTime) {
        if self.streams != Some(false) {
            self.chunks.add(run, now);
        }
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

/// A clock that was set back in between is as good as none.
pub(crate) fn since(start: SystemTime, end: SystemTime) -> Duration {
    end.duration_since(start).unwrap_or_default()
}
