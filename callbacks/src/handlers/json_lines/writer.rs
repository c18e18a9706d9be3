//! The handler that writes a recording.

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use super::tape::{SyncData, Tape};
use super::{Recording, RecordingError, recovery};
use crate::events::{AnyEvent, Events};
use crate::{Deliver, EventSet, Handler, Interests, Outcome, Registered, Run};

/// A handler that writes every event into a file, a line of JSON each. See [the module](super) for
/// what the lines say, and for how to send them through handlers again.
///
/// ```
/// use std::sync::Arc;
///
/// use callbacks::handlers::JsonLines;
/// use callbacks::{Callbacks, Serialized};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("run.jsonl");
/// static TOOL: Serialized = Serialized::new("Calculator");
/// let recording = Arc::new(JsonLines::create(&path)?);
/// let callbacks = Callbacks::new().with(recording.clone());
///
/// let run = callbacks.tool_start(&TOOL, "1 + 1").await?;
/// run.end(serde_json::json!(2)).await?;
///
/// assert_eq!(recording.lost(), 0);
/// for record in JsonLines::read(&path)? {
///     let record = record?;
///     println!("{} {} {:?}", record.seq(), record.run().name(), record.event());
/// }
/// # Ok::<(), callbacks::BoxError>(())
/// # })?;
/// # Ok::<(), callbacks::BoxError>(())
/// ```
///
/// # What is kept
///
/// Each event is one write of a whole line, made before its emission returns. So what was emitted and
/// awaited is there, however the process ends: by a panic, by `abort`, by `kill -9`. In the
/// [background](crate::Configured::background) that holds for what [a flush](crate::Callbacks::flush)
/// counted as delivered. Where the machine itself stops, what was [synced](SyncData) is there, if
/// the file is (its folder is not synced): by default, up to the end of the last run that had no run around it.
///
/// What prompts and answers say is in there, so on Unix only its owner may read a file that is new; one
/// that is there already keeps its permissions.
///
/// Decision events are not recorded: the start shows what was decided. Events of other sets are not
/// either.
///
/// # When it cannot write
///
/// The event is lost, and counted by [`lost`](Self::lost); the run goes on. What was written of the
/// line is cut off again, and the next event is tried as if nothing had happened: when there is room on
/// the disk again, recording goes on, with a line that says how many are missing. Each event that is lost
/// is a failure of the handler: it is counted in the report of a flush, and raised under
/// [`raise_errors`](crate::Configured::raise_errors). But only the first is logged, until a run tree was
/// recorded without a failure.
///
/// An event that could not be read again is lost too: one with more than about a hundred values in
/// each other, or with an entry in the `extra` of a payload by the name of one of its own fields.
pub struct JsonLines(Tape<File>);

impl JsonLines {
    /// Makes a new file.
    ///
    /// # Errors
    ///
    /// If it exists already, or cannot be made.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, RecordingError> {
        let path = path.as_ref();
        Ok(Self(Tape::new(recovery::create(path)?, path)))
    }

    /// Appends to a file, and makes it if it is not there. A line that was torn off at its end, by a
    /// crash or a full disk, is cut off.
    ///
    /// ```
    /// use callbacks::handlers::JsonLines;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("run.jsonl");
    /// drop(JsonLines::open(&path)?);
    /// let recording = JsonLines::open(&path)?;
    /// # Ok::<(), callbacks::BoxError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If it cannot be opened or repaired, if it is no recording, if it was written by a newer version
    /// of this crate, or if another `JsonLines` writes to it (which is not noticed on Windows, nor on a file
    /// system that has no locks).
    pub fn open(path: impl AsRef<Path>) -> Result<Self, RecordingError> {
        let path = path.as_ref();
        Ok(Self(Tape::new(recovery::open(path)?, path)))
    }

    /// Reads a file; it may still be written to. Names of [kinds](crate::RunKind::Custom) of runs that
    /// are the framework's own live as long as the program: each different one once, for each time that
    /// a file is read.
    ///
    /// # Errors
    ///
    /// If it cannot be opened, if it is no recording, or if it was written by a newer version of this
    /// crate.
    pub fn read(path: impl AsRef<Path>) -> Result<Recording, RecordingError> {
        Recording::open(path.as_ref())
    }

    /// When what was written is to be on the disk itself.
    ///
    /// ```
    /// use callbacks::handlers::JsonLines;
    /// use callbacks::handlers::json_lines::SyncData;
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("run.jsonl");
    /// let recording = JsonLines::create(&path)?.sync_data(SyncData::EveryEvent);
    /// # Ok::<(), callbacks::BoxError>(())
    /// ```
    #[must_use]
    pub fn sync_data(mut self, sync: SyncData) -> Self {
        self.0.sync = sync;
        self
    }

    /// How many events could not be written.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.0.lost()
    }
}

impl fmt::Debug for JsonLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonLines")
            .field("path", &self.0.path())
            .field("sync_data", &self.0.sync)
            .field("lost", &self.lost())
            .finish_non_exhaustive()
    }
}

impl Handler<Events> for JsonLines {
    type Delivery = Self;

    fn register(self) -> Registered<Events, Self> {
        Registered::new(Arc::new(self))
    }
}

impl Deliver<Events> for JsonLines {
    fn name(&self) -> &'static str {
        "callbacks::handlers::JsonLines"
    }

    fn interests(&self) -> Interests {
        // A file cannot answer.
        Interests::ALL.without(Events::DECISIONS)
    }

    fn deliver(&self, run: &Run<'_>, event: &AnyEvent<'_>) -> Outcome {
        self.0.record(run, event)
    }
}
