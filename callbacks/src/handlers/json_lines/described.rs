//! Which runs a recording describes already: of those the id is enough.

use std::collections::{BTreeSet, HashMap};
use std::iter::once;

use super::super::open_runs::OpenRuns;
use crate::{RunId, RunInfo};

/// The runs that were described, until they end.
#[derive(Debug, Default)]
pub(super) struct Described {
    runs: OpenRuns<Known>,
    same_id: SameId,
}

/// What tells a run from others of the same id.
#[derive(Debug)]
struct Known {
    id: RunId,
    nth: u64,
}

#[derive(Debug, Default)]
struct SameId(HashMap<RunId, Numbers>);

impl SameId {
    fn take(&mut self, run: &RunInfo) -> Known {
        let id = run.id();
        let nth = self.0.entry(id).or_default().take();
        Known { id, nth }
    }

    fn give_back(&mut self, Known { id, nth }: Known) {
        let numbers = self.0.get_mut(&id);
        if numbers.is_some_and(|numbers| numbers.give_back(nth)) {
            self.0.remove(&id);
        }
    }
}

/// Numbers for runs of one id. It is the emitter's, so that several may have it; and outside of any run,
/// each value of callbacks has an empty run of its own.
#[derive(Debug, Default)]
struct Numbers {
    /// So many were given out.
    given: u64,
    /// Those that were given back.
    free: BTreeSet<u64>,
}

impl Numbers {
    fn take(&mut self) -> u64 {
        self.free.pop_first().unwrap_or_else(|| {
            self.given += 1;
            self.given - 1
        })
    }

    /// Whether it was the last that was out.
    fn give_back(&mut self, number: u64) -> bool {
        self.free.insert(number);
        self.free.len() as u64 == self.given
    }
}

impl Described {
    /// Which of the runs of its id this is, from 0, if it was described.
    pub(super) fn nth(&self, run: &RunInfo) -> Option<u64> {
        self.runs.get(run).map(|known| known.nth)
    }

    /// What has to be described before an event of the run: the runs around it, the outermost first,
    /// and itself.
    pub(super) fn missing<'r>(&self, run: &'r RunInfo) -> Vec<&'r RunInfo> {
        let from_here = once(run).chain(run.ancestors());
        let mut missing: Vec<_> = from_here
            .take_while(|run| self.nth(run).is_none())
            .collect();
        missing.reverse();
        missing
    }

    pub(super) fn add(&mut self, run: &RunInfo) {
        let known = self.same_id.take(run);
        for gone in self.runs.start(run, known) {
            self.same_id.give_back(gone);
        }
    }

    /// It is over, or was not described after all.
    pub(super) fn forget(&mut self, run: &RunInfo) {
        for gone in self.runs.end(run) {
            self.same_id.give_back(gone);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::sync::Arc;

    use super::*;
    use crate::{Live, RunKind};

    fn run(id: u128, parent: Option<&RunInfo>) -> Live {
        let (id, labels) = (Some(RunId::from(id)), Arc::default());
        let name = Cow::Borrowed("");
        RunInfo::new(id, RunKind::Chain, name, labels, parent.cloned()).into()
    }

    fn ids(runs: &[&RunInfo]) -> Vec<u128> {
        runs.iter().map(|run| run.id().as_u128()).collect()
    }

    #[test]
    fn what_is_missing() {
        let mut described = Described::default();
        let root = run(1, None);
        let child = run(3, Some(&run(2, Some(&root))));
        assert_eq!(ids(&described.missing(&child)), [1, 2, 3]);
        described.add(&root);
        assert_eq!(ids(&described.missing(&child)), [2, 3]);
        described.add(&child);
        assert!(described.missing(&child).is_empty());
        described.forget(&child);
        assert_eq!(ids(&described.missing(&child)), [2, 3]);
        assert_eq!(ids(&described.missing(&run(1, None))), [1]);
    }

    #[test]
    fn runs_of_one_id_are_numbered_as_long_as_they_are_known() {
        let mut described = Described::default();
        let runs = [(); 3].map(|()| run(7, None));
        for run in &runs {
            described.add(run);
        }
        let nths = |described: &Described| runs.each_ref().map(|run| described.nth(run));
        assert_eq!(nths(&described), [Some(0), Some(1), Some(2)]);
        described.forget(&runs[1]);
        described.forget(&runs[0]);
        assert_eq!(nths(&described), [None, None, Some(2)]);
        described.add(&runs[1]);
        described.add(&runs[0]);
        assert_eq!(nths(&described), [Some(1), Some(0), Some(2)]);
        for run in &runs {
            described.forget(run);
        }
        assert!(described.same_id.0.is_empty());
    }

    #[test]
    fn runs_whose_end_is_not_heard_do_not_pile_up() {
        let mut described = Described::default();
        let open = run(1, None);
        described.add(&open);
        for id in 2..1_000 {
            described.add(&run(id, None));
        }
        assert!(described.runs.len() <= 4);
        assert_eq!(described.same_id.0.len(), described.runs.len());
        assert_eq!(described.nth(&open), Some(0));
    }
}
