//! Writing lines: one write for each event, before its emission goes on, and a count of what is lost.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::RecordingError;
use super::described::Described;
use super::line::{self, EventLine, LostLine, RunLine};
use super::storage::{Lines, Storage};
use crate::delivery::lock;
use crate::error::Repeated;
use crate::events::{AnyEvent, Events};
use crate::runs::ends_run;
use crate::{EventSet, Outcome, Run};

/// A buffer that has become larger than this is not kept.
const LARGE: usize = 1 << 20;

/// When what was written is on the disk itself, and not just with the operating system: what is there
/// survives that the power fails. Each time takes milliseconds, in which the emission waits.
///
/// Where it cannot be had there, that is a failure of the handler like any other. No event counts as
/// [lost](super::JsonLines::lost): the lines are in the file, for as long as the machine runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyncData {
    /// When the operating system sees fit: within half a minute, mostly.
    Never,
    /// At each end of a run that has no run around it.
    #[default]
    RootEnds,
    /// After each event.
    EveryEvent,
}

/// A recording that is written.
#[derive(Debug)]
pub(super) struct Tape<S: Storage> {
    storage: S,
    path: PathBuf,
    pub(super) sync: SyncData,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    lines: Lines,
    buffer: Vec<u8>,
    described: Described,
    lost: u64,
    /// How many of those no line tells.
    untold: u64,
    /// Whether a failure was logged, so that the others are not.
    quiet: bool,
    /// Whether anything failed since the last run tree ended.
    failed: bool,
}

impl<S: Storage> Tape<S> {
    /// There are so many bytes of lines already.
    pub(super) fn new((storage, length): (S, u64), path: &Path) -> Self {
        Self {
            storage,
            path: path.to_owned(),
            sync: SyncData::default(),
            state: Mutex::new(State {
                lines: Lines::new(length),
                buffer: Vec::new(),
                described: Described::default(),
                lost: 0,
                untold: 0,
                quiet: false,
                failed: false,
            }),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn lost(&self) -> u64 {
        lock(&self.state).lost
    }

    pub(super) fn record(&self, run: &Run<'_>, event: &AnyEvent<'_>) -> Outcome {
        let ends_run = ends_run(event);
        let ends_tree = ends_run && run.parent().is_none();
        let mut state = lock(&self.state);
        let written = self.write(&mut state, run, event);
        if written.is_err() {
            state.lost += 1;
            state.untold += 1;
        }
        if ends_run {
            state.described.forget(run.info());
        }
        drop(state);
        let sync = match self.sync {
            SyncData::Never => false,
            SyncData::RootEnds => ends_tree,
            SyncData::EveryEvent => true,
        };
        let outcome = written.and_then(|()| if sync { self.sync() } else { Ok(()) });
        lock(&self.state).told(outcome, ends_tree)
    }

    fn write(
        &self,
        state: &mut State,
        run: &Run<'_>,
        event: &AnyEvent<'_>,
    ) -> Result<(), RecordingError> {
        let here = state.described.missing(run.info());
        for run in &here {
            state.described.add(run);
        }
        let written = self.write_line(state, run, event, &here);
        if written.is_err() {
            for run in here {
                state.described.forget(run);
            }
        }
        written
    }

    /// Writes the event, and describes these runs in its line.
    fn write_line(
        &self,
        state: &mut State,
        run: &Run<'_>,
        event: &AnyEvent<'_>,
        here: &[&crate::RunInfo],
    ) -> Result<(), RecordingError> {
        state.buffer.clear();
        state.buffer.shrink_to(LARGE);
        if state.untold > 0 {
            let lost = state.untold;
            line::write(&LostLine { lost }, &mut state.buffer)?;
        }
        let event = EventLine {
            seq: run.seq(),
            time: line::micros(run.time()),
            run: RunLine::new(run.info(), here, &state.described),
            event: &Events::own(event),
        };
        line::write(&event, &mut state.buffer)?;
        self.append(state)?;
        state.untold = 0;
        Ok(())
    }

    fn append(&self, state: &mut State) -> Result<(), RecordingError> {
        let appended = state.lines.append(&self.storage, &state.buffer);
        appended.map_err(RecordingError::io(&self.path, "write to"))
    }

    /// It takes long, so not under the lock.
    fn sync(&self) -> Result<(), RecordingError> {
        let synced = self.storage.sync();
        synced.map_err(RecordingError::io(&self.path, "sync"))
    }
}

impl State {
    /// Marks all failures but the first as repeated, until a run tree was recorded without one.
    fn told(&mut self, outcome: Result<(), RecordingError>, ends_tree: bool) -> Outcome {
        self.failed |= outcome.is_err();
        if ends_tree {
            self.quiet &= std::mem::take(&mut self.failed);
        }
        let error = match outcome {
            Ok(()) => return Ok(()),
            Err(error) => error.into(),
        };
        let quiet = std::mem::replace(&mut self.quiet, true);
        Err(if quiet { Repeated(error).into() } else { error })
    }
}

impl<S: Storage> Drop for Tape<S> {
    /// Whoever reads it is to know that the end is missing. If this cannot be written either, it is not
    /// worse than before.
    fn drop(&mut self) {
        let state = &mut *lock(&self.state);
        if state.untold > 0 {
            state.buffer.clear();
            let lost = LostLine { lost: state.untold };
            let written = line::write(&lost, &mut state.buffer);
            let _ = written.and_then(|()| self.append(state));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use serde_json::Value;

    use super::*;
    use crate::events::{ChainEnd, ChainStart, Text};
    use crate::{RunId, RunInfo, RunKind};

    /// A disk that says what was done, and cannot keep anything if that is said.
    #[derive(Default)]
    struct Disk {
        done: Mutex<Vec<&'static str>>,
        fails: bool,
    }

    impl Storage for &Disk {
        fn write(&self, bytes: &[u8]) -> io::Result<usize> {
            lock(&self.done).push("write");
            Ok(bytes.len())
        }

        fn cut(&self, _: u64) -> io::Result<()> {
            lock(&self.done).push("cut");
            Ok(())
        }

        fn sync(&self) -> io::Result<()> {
            lock(&self.done).push("sync");
            if self.fails {
                return Err(io::Error::other("the disk is gone"));
            }
            Ok(())
        }
    }

    fn run(id: u128, parent: Option<&RunInfo>) -> RunInfo {
        let (id, labels) = (Some(RunId::from(id)), Arc::default());
        RunInfo::new(id, RunKind::Chain, "".into(), labels, parent.cloned())
    }

    /// What a run in a run does: five events. Those that failed are told: whether it was logged.
    fn record(disk: &Disk, sync: SyncData) -> Vec<Option<bool>> {
        let mut tape = Tape::new((disk, 0), Path::new("run.jsonl"));
        tape.sync = sync;
        let (outer, nothing) = (run(1, None), Value::Null);
        let inner = run(2, Some(&outer));
        let (serialized, inputs, outputs) = (None, &nothing, &nothing);
        let start = AnyEvent::ChainStart(ChainStart { serialized, inputs });
        let text = AnyEvent::Text(Text { text: "" });
        let end = AnyEvent::ChainEnd(ChainEnd { outputs });
        let events = [
            (&outer, start),
            (&inner, start),
            (&inner, text),
            (&inner, end),
            (&outer, end),
        ];
        let outcomes = events.map(|(run, event)| {
            let outcome = tape.record(&Run::new(run, 1, None), &event);
            let error = outcome.err()?;
            let logged = error.downcast_ref::<Repeated>().is_none();
            assert!(
                error
                    .to_string()
                    .contains("cannot sync the recording `run.jsonl`")
            );
            Some(logged)
        });
        assert_eq!(tape.lost(), 0);
        outcomes.into()
    }

    #[test]
    fn a_line_is_synced_after_it_is_written() {
        let (w, s) = ("write", "sync");
        for (sync, expected) in [
            (SyncData::Never, vec![w, w, w, w, w]),
            (SyncData::RootEnds, vec![w, w, w, w, w, s]),
            (SyncData::EveryEvent, vec![w, s, w, s, w, s, w, s, w, s]),
        ] {
            let disk = Disk::default();
            assert_eq!(record(&disk, sync), [None; 5]);
            assert_eq!(*lock(&disk.done), expected);
        }
    }

    #[test]
    fn a_disk_that_cannot_sync_is_a_failure_each_time() {
        for (sync, expected) in [
            (SyncData::Never, [None; 5]),
            (SyncData::RootEnds, [None, None, None, None, Some(true)]),
            (
                SyncData::EveryEvent,
                [
                    Some(true),
                    Some(false),
                    Some(false),
                    Some(false),
                    Some(false),
                ],
            ),
        ] {
            let fails = true;
            let disk = Disk {
                fails,
                ..Disk::default()
            };
            assert_eq!(record(&disk, sync), expected);
            assert!(!lock(&disk.done).contains(&"cut"));
        }
    }
}
