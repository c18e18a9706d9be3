//! What a handler keeps of open runs.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::RunInfo;

/// So many of the runs that are kept each start looks at: more than it adds.
const LOOKED_AT: usize = 2;

/// What a handler keeps of each run that is open, such as a span, a line on the screen, the time of the last
/// token.
///
/// What is kept goes when the run [ends](Self::end), or a run around it: a handler that is narrowed by
/// [`except`](crate::Configured::except) may not hear of its own end. It may hear of no end at all; so whatever
/// [is over](RunInfo::is_over) goes as other runs start: each start looks at two.
///
/// A handler of which not all runs are heard finds the nearest [around](Self::around) a run.
///
/// It is for handlers, in their methods. Whoever reads [records](crate::Callbacks::record) ahead, or those of a
/// [recording](crate::handlers::JsonLines::read), is told of runs that are over by then, and what is kept of them
/// goes early.
///
/// ```
/// use std::sync::Mutex;
///
/// use callbacks::handlers::OpenRuns;
/// use callbacks::{Run, callback_handler};
///
/// /// Says how often each model was heard before it was done.
/// #[derive(Default)]
/// struct Pieces(Mutex<OpenRuns<u64>>);
///
/// #[callback_handler]
/// impl Pieces {
///     fn on_llm_start(&self, run: &Run<'_>) {
///         let over = self.0.lock().unwrap().start(run, 0);
///         drop(over);
///     }
///
///     fn on_llm_new_token(&self, run: &Run<'_>) {
///         if let Some(pieces) = self.0.lock().unwrap().get_mut(run) {
///             *pieces += 1;
///         }
///     }
///
///     fn on_llm_end(&self, run: &Run<'_>) {
///         let ended = self.0.lock().unwrap().end(run);
///         if let Some(pieces) = ended.first() {
///             println!("{}: {pieces}", run.name());
///         }
///     }
///
///     fn on_llm_error(&self, run: &Run<'_>) {
///         let ended = self.0.lock().unwrap().end(run);
///         drop(ended);
///     }
/// }
/// ```
#[derive(Debug)]
pub struct OpenRuns<T> {
    runs: HashMap<RunInfo, OpenRun<T>>,
    /// All of them, and some that have ended; those that were looked at last come last.
    looked_at: VecDeque<RunInfo>,
}

#[derive(Debug)]
struct OpenRun<T> {
    kept: T,
    /// The nearest run around it that is kept.
    around: Option<RunInfo>,
    inside: HashSet<RunInfo>,
}

impl<T> OpenRuns<T> {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps this of a run that starts. What was kept of runs that are over by now is given back: where it is
    /// behind a lock, its destructors can run when that is open again.
    #[must_use = "to be dropped where nothing is locked"]
    pub fn start(&mut self, run: &RunInfo, kept: T) -> Vec<T> {
        // One may start again in a replay, if the recording had no end of it.
        let starts_again = self.runs.contains_key(run);
        let mut gone = if starts_again {
            self.end(run)
        } else {
            Vec::new()
        };
        for _ in 0..LOOKED_AT {
            let Some(other) = self.looked_at.pop_front() else {
                break;
            };
            if !self.runs.contains_key(&other) {
                continue;
            }
            // What is around the run is not over, but where somebody else ends it right now.
            if other.is_over() && run.ancestors().all(|around| *around != other) {
                gone.extend(self.end(&other));
            } else {
                self.looked_at.push_back(other);
            }
        }
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
        self.looked_at.push_back(run.clone());
        gone
    }

    /// What is kept of the run.
    #[must_use]
    pub fn get(&self, run: &RunInfo) -> Option<&T> {
        self.runs.get(run).map(|open| &open.kept)
    }

    /// What is kept of the run, to change it.
    pub fn get_mut(&mut self, run: &RunInfo) -> Option<&mut T> {
        self.runs.get_mut(run).map(|open| &mut open.kept)
    }

    /// What is kept of the nearest run around this one that anything is kept of.
    #[must_use]
    pub fn around(&self, run: &RunInfo) -> Option<&T> {
        self.nearest_around(run).and_then(|around| self.get(around))
    }

    fn nearest_around(&self, run: &RunInfo) -> Option<&RunInfo> {
        let kept = |run| self.runs.get_key_value(run).map(|(run, _)| run);
        run.ancestors().find_map(kept)
    }

    /// The run is over. What was kept of it comes first, and then what was kept of the runs inside; nothing if
    /// nothing was kept of the run.
    #[must_use = "to be dropped where nothing is locked"]
    pub fn end(&mut self, run: &RunInfo) -> Vec<T> {
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
        if self.runs.is_empty() {
            self.looked_at.clear();
        }
        ended
    }

    /// All that is kept, for a handler that goes.
    #[must_use = "to be dropped where nothing is locked"]
    pub fn take(&mut self) -> Vec<T> {
        self.looked_at.clear();
        let runs = self.runs.drain();
        runs.map(|(_, open)| open.kept).collect()
    }

    /// Of how many runs something is kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.runs.len()
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }
}

impl<T> Default for OpenRuns<T> {
    fn default() -> Self {
        Self {
            runs: HashMap::new(),
            looked_at: VecDeque::new(),
        }
    }
}
