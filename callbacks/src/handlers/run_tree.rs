//! What was heard of a run tree, as data.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::open_runs::OpenRuns;
use crate::payload::{LlmResult, RunError, TokenUsage};
use crate::{Run, RunInfo};

/// A run tree that is over. [`RunTrees`](super::RunTrees) hands one out when the outermost run ends.
///
/// It is flat, for run trees can be deep: the runs stand in the order in which they started, so the
/// outermost is the first, and everything that ran in a run stands behind it.
///
/// Shown with `{}` it is a drawing of the tree, with how long each run took.
///
/// ```
/// use callbacks::RunKind;
/// use callbacks::handlers::RunTree;
///
/// /// The slowest tool, with what was said in it.
/// fn slowest(tree: &RunTree) -> Option<String> {
///     let tools = tree.runs().iter().filter(|run| run.info.kind() == RunKind::Tool);
///     let run = tools.max_by_key(|run| run.duration())?;
///     let said: Vec<_> = run.notes.iter().map(|note| &*note.text).collect();
///     let around = run.parent.map_or("nothing", |at| tree.runs()[at].info.name());
///     Some(format!("{} in {around}: {}", run.info.name(), said.join(", ")))
/// }
/// # let _ = slowest;
/// ```
#[derive(Clone, Debug)]
pub struct RunTree {
    /// At least one.
    pub(super) runs: Vec<TracedRun>,
}

/// A run of a [`RunTree`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TracedRun {
    /// What was known from its start on: id, kind, name, tags, metadata, when it started.
    pub info: RunInfo,
    /// In which of the runs it ran; `None` for the outermost.
    pub parent: Option<usize>,
    /// In how many runs it ran: 0 for the outermost.
    pub depth: usize,
    /// What it was given: prompts, messages, inputs, a query.
    pub input: Value,
    /// What it made; `Null` if it did not come to its end, unless a part had arrived.
    pub output: Value,
    /// Why it did not come to its end.
    pub error: Option<RunError>,
    /// The tokens that a model used.
    pub usage: TokenUsage,
    /// When each token of a streaming model came.
    pub tokens: Vec<SystemTime>,
    /// What was said in it: texts, retries, what an agent decided, custom events.
    pub notes: Vec<Note>,
    /// When it ended; `None` if that was not heard.
    pub ended_at: Option<SystemTime>,
}

/// Something that was said in a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Note {
    /// When.
    pub time: SystemTime,
    /// What, for a person to read.
    pub text: String,
}

impl RunTree {
    /// The outermost run.
    #[must_use]
    pub fn root(&self) -> &TracedRun {
        &self.runs[0]
    }

    /// All runs, in the order in which they started.
    #[must_use]
    pub fn runs(&self) -> &[TracedRun] {
        &self.runs
    }

    /// All runs, in the order in which they started.
    #[must_use]
    pub fn into_runs(self) -> Vec<TracedRun> {
        self.runs
    }
}

impl TracedRun {
    /// How long it took, if its end was heard.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        // A clock that was set back in between is as good as none.
        let ended_at = self.ended_at?;
        Some(
            ended_at
                .duration_since(self.info.started_at())
                .unwrap_or_default(),
        )
    }
}

/// Run trees that are not over.
#[derive(Debug, Default)]
pub(super) struct Growing {
    trees: HashMap<TreeKey, RunTree>,
    /// Where the open runs are.
    open: OpenRuns<Place>,
    begun: TreeKey,
}

type TreeKey = u64;

#[derive(Clone, Copy, Debug)]
struct Place {
    tree: TreeKey,
    at: usize,
}

impl Growing {
    /// Below the nearest run around it that was heard.
    pub(super) fn start(&mut self, run: &Run<'_>, input: Value) {
        let above = self.open.around(run).copied();
        let tree = above.map_or(self.begun, |above| above.tree);
        if above.is_none() {
            self.begun += 1;
        }
        let empty = || RunTree { runs: Vec::new() };
        let runs = &mut self.trees.entry(tree).or_insert_with(empty).runs;
        let parent = above.map(|above| above.at);
        let depth = parent.and_then(|parent| runs.get(parent));
        runs.push(TracedRun {
            info: run.info().clone(),
            parent,
            depth: depth.map_or(0, |parent| parent.depth + 1),
            input,
            output: Value::Null,
            error: None,
            usage: TokenUsage::new(),
            tokens: Vec::new(),
            notes: Vec::new(),
            ended_at: None,
        });
        let at = runs.len() - 1;
        let unheard = self.open.start(run.info(), Place { tree, at });
        for Place { tree, .. } in unheard.into_iter().filter(|place| place.at == 0) {
            self.trees.remove(&tree);
        }
    }

    /// How many runs are open.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// A run that was heard to start.
    pub(super) fn run(&mut self, run: &Run<'_>) -> Option<&mut TracedRun> {
        let Place { tree, at } = self.open.get(run.info())?;
        self.trees.get_mut(tree)?.runs.get_mut(*at)
    }

    pub(super) fn token(&mut self, run: &Run<'_>) {
        let time = run.time();
        if let Some(run) = self.run(run) {
            run.tokens.push(time);
        }
    }

    pub(super) fn note(&mut self, run: &Run<'_>, text: String) {
        let time = run.time();
        if let Some(run) = self.run(run) {
            run.notes.push(Note { time, text });
        }
    }

    /// The run has answered, or a part of the answer had arrived.
    pub(super) fn respond(&mut self, run: &Run<'_>, response: &LlmResult) {
        if let Some(run) = self.run(run) {
            run.usage = response.usage().clone();
        }
    }

    /// The run is over. Gives the tree, if that is over, too.
    pub(super) fn end(
        &mut self,
        run: &Run<'_>,
        output: Value,
        error: Option<&RunError>,
    ) -> Option<RunTree> {
        let ended = self.run(run)?;
        ended.output = output;
        ended.error = error.cloned();
        ended.ended_at.get_or_insert_with(|| run.time());
        let Place { tree, at } = self.open.end(run.info()).into_iter().next()?;
        if at > 0 {
            return None;
        }
        self.trees.remove(&tree)
    }
}
