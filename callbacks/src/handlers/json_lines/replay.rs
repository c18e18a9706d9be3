//! Replay: the events of a recording, sent through handlers.

use std::path::Path;

use tokio::task::coop::consume_budget;

use super::{JsonLines, Recording, ReplayError};
use crate::delivery::{block_on, inside};
use crate::events::Events;
use crate::runs::Replaying;
use crate::{Callbacks, EmitError, EventSet, Record, RunId, RunInfo};

/// What a [`replay`] found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Replayed {
    /// How many events were sent.
    pub events: u64,
    /// The runs that start in the recording and do not end, in the order of their starts: the program
    /// was stopped, or has not come so far yet. Their handlers have heard an error of kind
    /// [`Dropped`](crate::ErrorKind::Dropped) instead.
    pub open: Vec<RunInfo>,
    /// How many events are missing, for they could not be written.
    pub lost: u64,
    /// Whether there was a torn line at the end.
    pub torn: bool,
}

/// Sends the events of a recording through the handlers of `callbacks`: each with the run that it had,
/// its id, parents, names, tags, metadata and time of start, with its number, and in the order of the
/// lines. Each is waited for, like an emission; what is in the background, like there, is not.
///
/// Nobody waits as long as it took: the events come one right after another. [`Run::time`](crate::Run::time) is
/// the time of the line, so a handler that measures by that, as all of [this crate's](crate::handlers) do that
/// measure, shows the times that were recorded. One that asks the clock itself measures the replay; so does
/// whoever takes the spans of `Spans`, for `tracing` cannot be told a time.
///
/// Each run that starts ends, as runs always do. One that is still open where the recording ends, or
/// where an error ends the replay, closes with an error of kind [`Dropped`](crate::ErrorKind::Dropped), at the
/// time of the last line of its tree, the innermost first; so does it, later, where the future is dropped
/// midway. Lines of a run tree that are not in the order of their numbers, as it may be in a recording that was
/// written [inline](crate::Configured::inline), get the next number instead of theirs: numbers only grow.
///
/// Handlers are called as they were registered. Those that are
/// [local](crate::Callbacks::with_local) hear the runs that have no run around them, as if `callbacks`
/// had started those. Tags and metadata of `callbacks` are not added, and where it stands in the tree of
/// runs does not matter. Nobody is asked to decide anything.
///
/// It reads the file with blocking calls, some lines at a time. Each [kind](crate::RunKind::Custom) of runs
/// that is the framework's own has a name that lives as long as the program: a few bytes for each
/// different one, each time that a recording is read.
///
/// ```
/// use callbacks::events::ToolStart;
/// use callbacks::handlers::{JsonLines, replay};
/// use callbacks::{Callbacks, Serialized, on};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("run.jsonl");
/// # static TOOL: Serialized = Serialized::new("Calculator");
/// # let callbacks = Callbacks::new().with(JsonLines::create(&path)?);
/// # let run = callbacks.tool_start(&TOOL, "1 + 1").await?;
/// let printer = on(|event: &ToolStart<'_>| println!("{}", event.input));
/// let replayed = replay(&path, &Callbacks::new().with(printer)).await?;
/// for run in &replayed.open {
///     println!("{} did not end", run.name());
/// }
/// # assert_eq!(replayed.open.len(), 1);
/// # Ok::<(), callbacks::BoxError>(())
/// # })?;
/// # Ok::<(), callbacks::BoxError>(())
/// ```
///
/// # Errors
///
/// If the recording cannot be read, at its first line that is damaged or has an event that is not known,
/// if an event belongs to a run that has closed with one around it, or if a handler raises an error. What
/// comes before was delivered.
pub fn replay<P: AsRef<Path>>(
    path: P,
    callbacks: &Callbacks,
) -> impl Future<Output = Result<Replayed, ReplayError>> + Send {
    let path = path.as_ref().to_owned();
    let mut replay = Replay::new(callbacks, false);
    async move {
        let mut recording = JsonLines::read(path)?;
        let sent = replay.send_all(&mut recording).await;
        let open = replay.close(sent.is_ok()).await;
        sent.map(|()| replay.found(open, &recording))
    }
}

/// The same [`replay`] for code that waits with its thread: handlers are called as
/// [`BlockingCallbacks`](crate::BlockingCallbacks) calls them.
///
/// ```
/// use callbacks::Callbacks;
/// use callbacks::handlers::JsonLines;
/// use callbacks::handlers::json_lines::replay_blocking;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("run.jsonl");
/// # drop(JsonLines::create(&path)?);
/// let replayed = replay_blocking(&path, &Callbacks::new())?;
/// assert_eq!(replayed.events, 0);
/// # Ok::<(), callbacks::BoxError>(())
/// ```
///
/// # Errors
///
/// Those of [`replay`]. As for all that waits with a thread, there is [`EmitError::WouldDeadlock`], too.
///
/// # Panics
///
/// See [`BlockingCallbacks`](crate::BlockingCallbacks#panics).
pub fn replay_blocking(
    path: impl AsRef<Path>,
    callbacks: &Callbacks,
) -> Result<Replayed, ReplayError> {
    if inside() {
        return Err(ReplayError::InsideCallback);
    }
    let mut recording = JsonLines::read(path)?;
    let mut replay = Replay::new(callbacks, true);
    let sent = recording.try_for_each(|record| {
        let record = record?;
        let at = At::of(&record);
        let sent = block_on(replay.send(record));
        sent.map_err(|source| at.stopped(source))
    });
    let open = block_on(async { Ok(replay.close(sent.is_ok()).await) });
    sent.map(|()| replay.found(open.unwrap_or_default(), &recording))
}

/// A replay that is on its way.
struct Replay {
    runs: Replaying,
    events: u64,
}

impl Replay {
    fn new(callbacks: &Callbacks, blocking: bool) -> Self {
        Self {
            runs: Replaying::new(callbacks, blocking),
            events: 0,
        }
    }

    async fn send_all(&mut self, recording: &mut Recording) -> Result<(), ReplayError> {
        for record in recording {
            let record = record?;
            if inside() {
                return Err(ReplayError::InsideCallback);
            }
            let at = At::of(&record);
            let sent = self.send(record).await;
            sent.map_err(|source| at.stopped(source))?;
            // A file is always ready, and so are most handlers: others want their turn.
            consume_budget().await;
        }
        Ok(())
    }

    async fn send(&mut self, record: Record) -> Result<(), EmitError> {
        // Nobody writes decision events, but a person may.
        if Events::DECISIONS.contains(Events::index(&record.event())) {
            return Ok(());
        }
        self.events += 1;
        self.runs.send(record).await
    }

    async fn close(&mut self, at_the_end: bool) -> Vec<RunInfo> {
        let why = if at_the_end {
            "the recording ends before the run does"
        } else {
            "the replay was stopped before the run ended"
        };
        self.runs.close(why).await
    }

    fn found(self, open: Vec<RunInfo>, recording: &Recording) -> Replayed {
        Replayed {
            events: self.events,
            open,
            lost: recording.lost(),
            torn: recording.is_torn(),
        }
    }
}

/// Where a replay is.
struct At {
    seq: u64,
    run: RunId,
}

impl At {
    fn of(record: &Record) -> Self {
        let (seq, run) = (record.seq(), record.run().id());
        Self { seq, run }
    }

    fn stopped(self, source: EmitError) -> ReplayError {
        let Self { seq, run } = self;
        ReplayError::Stopped { seq, run, source }
    }
}
