//! What a handler keeps of open runs. When one ends, what is kept of those inside goes, too: they are over, and
//! a handler that is narrowed may not hear of it. Of outermost ones it may not hear it either: what is kept of them
//! goes when nobody else knows of them.

use std::collections::{HashMap, HashSet};
use std::iter::once;

use crate::RunInfo;

/// With fewer runs than this it is not asked which are forgotten.
const KEPT: usize = 64;

#[derive(Debug)]
pub(super) struct OpenRuns<T> {
    runs: HashMap<RunInfo, OpenRun<T>>,
    /// With so many it is asked which are forgotten.
    enough: usize,
}

#[derive(Debug)]
struct OpenRun<T> {
    kept: T,
    /// The nearest run around it that was heard of.
    around: Option<RunInfo>,
    inside: HashSet<RunInfo>,
}

impl<T> OpenRuns<T> {
    pub(super) fn start(&mut self, run: &RunInfo, kept: T) {
        let around = self.nearest_around(run).cloned();
        if let Some(around) = around.as_ref().and_then(|around| self.runs.get_mut(around)) {
            around.inside.insert(run.clone());
        }
        let open = OpenRun {
            kept,
            around,
            inside: HashSet::new(),
        };
        self.runs.insert(run.clone(), open);
    }

    pub(super) fn get(&self, run: &RunInfo) -> Option<&T> {
        self.runs.get(run).map(|open| &open.kept)
    }

    /// What is kept of the nearest run around it that was heard of.
    pub(super) fn around(&self, run: &RunInfo) -> Option<&T> {
        self.nearest_around(run).and_then(|around| self.get(around))
    }

    fn nearest_around(&self, run: &RunInfo) -> Option<&RunInfo> {
        let heard = |run| self.runs.get_key_value(run).map(|(run, _)| run);
        run.ancestors().find_map(heard)
    }

    /// What was kept of the run, if it was heard of, and then of those inside.
    pub(super) fn end(&mut self, run: &RunInfo) -> Vec<T> {
        let around = self.runs.get(run).and_then(|open| open.around.clone());
        if let Some(around) = around.and_then(|around| self.runs.get_mut(&around)) {
            around.inside.remove(run);
        }
        let (mut ended, mut ends) = (Vec::new(), vec![run.clone()]);
        while let Some(run) = ends.pop() {
            if let Some(open) = self.runs.remove(&run) {
                ends.extend(open.inside);
                ended.push(open.kept);
            }
        }
        ended
    }

    /// What was kept of outermost runs of which nobody else knows any more, and of those inside. `held` is what
    /// else the handler holds of runs.
    pub(super) fn forgotten<'r>(&mut self, held: impl Iterator<Item = &'r RunInfo>) -> Vec<T> {
        if self.runs.len() < self.enough {
            return Vec::new();
        }
        #[expect(
            clippy::mutable_key_type,
            reason = "what can change in it is not what it is compared by"
        )]
        let mut times: HashMap<&RunInfo, usize> = HashMap::new();
        let own = self.runs.iter().flat_map(|(run, open)| {
            let beside = open.around.iter().chain(&open.inside);
            once(run).chain(beside)
        });
        let held = held.map(|run| -> &RunInfo { run });
        for run in own.chain(held) {
            *times.entry(run).or_default() += 1;
        }
        // Each holds the run that it is in.
        let mut holding: Vec<&RunInfo> = times.keys().copied().collect();
        while let Some(parent) = holding.pop().map(RunInfo::parent) {
            let Some(parent) = parent else { continue };
            let known = times.entry(parent).or_default();
            if *known == 0 {
                holding.push(parent);
            }
            *known += 1;
        }
        let over = self.runs.iter().filter(|(run, open)| {
            open.around.is_none() && times.get(run).is_some_and(|times| run.is_held(*times))
        });
        let over: Vec<RunInfo> = over.map(|(run, _)| run.clone()).collect();
        let mut kept = Vec::new();
        for run in over {
            kept.extend(self.end(&run));
        }
        self.enough = KEPT.max(2 * self.runs.len());
        kept
    }

    pub(super) fn len(&self) -> usize {
        self.runs.len()
    }
}

impl<T> Default for OpenRuns<T> {
    fn default() -> Self {
        Self {
            runs: HashMap::new(),
            enough: KEPT,
        }
    }
}
