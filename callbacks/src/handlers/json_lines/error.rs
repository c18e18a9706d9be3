//! What recordings fail with.

use std::io;
use std::path::{Path, PathBuf};

use super::line::VERSION;
use crate::EmitError;

/// Why a recording cannot be written, or read.
///
/// ```
/// use callbacks::handlers::JsonLines;
/// use callbacks::handlers::json_lines::RecordingError;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("run.jsonl");
/// # drop(JsonLines::create(&path)?);
/// let recording = match JsonLines::create(&path) {
///     Err(RecordingError::Exists { path }) => JsonLines::open(path)?,
///     other => other?,
/// };
/// assert_eq!(recording.lost(), 0);
/// # Ok::<(), callbacks::BoxError>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// The file cannot be created, opened, read or written.
    #[error("cannot {action} the recording `{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried: `open`, `read`, `write to`, ..
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The file to be created is there.
    #[error("`{}` exists already; append to it with `JsonLines::open`, or remove it", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The event could not be read again, so it is not in the recording. It has more than about a hundred
    /// values in each other, or a payload with an entry in `extra` by the name of one of its own fields.
    #[error("an event was not recorded, for it could not be read again: {problem}")]
    Unreadable {
        /// What is wrong with it.
        problem: String,
    },
    /// Somebody else writes to it.
    #[error("another `JsonLines` writes to `{}`; share that one, or choose another file", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The first line is not that of a recording. The file was left as it is.
    #[error(
        "`{}` is no recording, for its first line does not say so; choose another file",
        path.display()
    )]
    NotARecording {
        /// The file.
        path: PathBuf,
    },
    /// It was written by a newer version of this crate. The file was left as it is.
    #[error(
        "`{}` has version {version} of the schema, and this `callbacks` knows {VERSION} at most; \
         update `callbacks`",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version of its schema.
        version: u64,
    },
    /// A line has an event that this version of the crate does not know.
    #[error(
        "line {line} of `{}` has an event `{event}`, which this `callbacks` does not know; \
         update `callbacks`, or remove the line",
        path.display()
    )]
    UnknownEvent {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The event's name.
        event: String,
    },
    /// A line is damaged.
    #[error("line {line} of `{}` cannot be read: {problem}; repair or remove it", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
}

impl RecordingError {
    pub(super) fn io(path: &Path, action: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io {
            path: path.to_owned(),
            action,
            source,
        }
    }
}

/// Why a [`replay`](super::replay) did not come to the end of the recording.
///
/// ```
/// use callbacks::Callbacks;
/// use callbacks::handlers::json_lines::{ReplayError, replay_blocking};
///
/// match replay_blocking("no such file", &Callbacks::new()) {
///     Err(ReplayError::Recording(error)) => println!("{error}"),
///     Err(ReplayError::Stopped { seq, run, source }) => println!("{source}, at {seq} of {run}"),
///     other => println!("{other:?}"),
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The recording cannot be read, or not beyond this. What comes before was delivered.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// An event could not be delivered: a handler that raises its errors failed, or the recording has
    /// it after the end of a run around its own.
    #[error("the replay was stopped at event {seq} of run {run}")]
    Stopped {
        /// The number of the event in its run tree.
        seq: u64,
        /// The run that it belongs to.
        run: crate::RunId,
        /// Why.
        source: EmitError,
    },
    /// A replay waits for handlers, and inside a callback nothing waits.
    #[error("nothing is replayed inside a callback; spawn a task for it")]
    InsideCallback,
}
