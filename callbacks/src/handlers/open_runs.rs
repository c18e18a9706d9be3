//! What a handler keeps of open runs. When one ends, what is kept of those inside goes, too: they are over, and
//! a handler that is narrowed may not hear of it.

use std::collections::{HashMap, HashSet};

use crate::RunInfo;

#[derive(Debug)]
pub(super) struct OpenRuns<T>(HashMap<RunInfo, OpenRun<T>>);

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
        if let Some(around) = around.as_ref().and_then(|around| self.0.get_mut(around)) {
            around.inside.insert(run.clone());
        }
        let open = OpenRun {
            kept,
            around,
            inside: HashSet::new(),
        };
        self.0.insert(run.clone(), open);
    }

    pub(super) fn get(&self, run: &RunInfo) -> Option<&T> {
        self.0.get(run).map(|open| &open.kept)
    }

    /// What is kept of the nearest run around it that was heard of.
    pub(super) fn around(&self, run: &RunInfo) -> Option<&T> {
        self.nearest_around(run).and_then(|around| self.get(around))
    }

    fn nearest_around(&self, run: &RunInfo) -> Option<&RunInfo> {
        let heard = |run| self.0.get_key_value(run).map(|(run, _)| run);
        run.ancestors().find_map(heard)
    }

    /// What was kept of the run, if it was heard of, and then of those inside.
    pub(super) fn end(&mut self, run: &RunInfo) -> Vec<T> {
        let around = self.0.get(run).and_then(|open| open.around.clone());
        if let Some(around) = around.and_then(|around| self.0.get_mut(&around)) {
            around.inside.remove(run);
        }
        let (mut ended, mut ends) = (Vec::new(), vec![run.clone()]);
        while let Some(run) = ends.pop() {
            if let Some(open) = self.0.remove(&run) {
                ends.extend(open.inside);
                ended.push(open.kept);
            }
        }
        ended
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl<T> Default for OpenRuns<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}
