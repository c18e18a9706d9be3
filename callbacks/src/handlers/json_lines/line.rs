//! What a line says: how it is written, and how it is read.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::described::Described;
use super::error::RecordingError;
use crate::events::owned::AnyEvent;
use crate::payload::{Metadata, RunKind};
use crate::{RunId, RunInfo};

/// Version of the schema. It grows when an older reader would misread what is written.
pub(super) const VERSION: u64 = 1;

/// The first line.
pub(super) const HEADER: &str = "{\"schema\":\"callbacks.json_lines\",\"version\":1}\n";

/// No event has a number beyond this, so that there is always a next one.
const LAST_SEQ: u64 = u64::MAX / 2;

/// A moment, as microseconds since 1970.
pub(super) fn micros(time: SystemTime) -> i64 {
    let micros = |since: Duration| i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => micros(after),
        Err(before) => -micros(before.duration()),
    }
}

/// The moment again, unless the clocks of this system do not know it.
pub(super) fn moment(micros: i64) -> Option<SystemTime> {
    let since = Duration::from_micros(micros.unsigned_abs());
    if micros < 0 {
        UNIX_EPOCH.checked_sub(since)
    } else {
        UNIX_EPOCH.checked_add(since)
    }
}

/// What a first line says.
#[derive(Deserialize)]
pub(super) struct Header {
    schema: String,
    version: u64,
}

impl Header {
    /// The version of the schema, if this is the first line of a recording.
    pub(super) fn version(line: &[u8]) -> Option<u64> {
        let header: Self = serde_json::from_slice(line).ok()?;
        (header.schema == "callbacks.json_lines").then_some(header.version)
    }
}

/// An event, to be written.
#[derive(Serialize)]
pub(super) struct EventLine<'a> {
    pub(super) seq: u64,
    pub(super) time: i64,
    pub(super) run: RunLine<'a>,
    pub(super) event: &'a AnyEvent,
}

/// So many events are missing here.
#[derive(Serialize)]
pub(super) struct LostLine {
    pub(super) lost: u64,
}

/// A line that was read.
pub(super) enum Line {
    Event {
        seq: u64,
        time: i64,
        run: Box<RunLine<'static>>,
        event: Box<AnyEvent>,
    },
    Lost(u64),
    /// The first line of a recording that was appended to another as it is.
    Header(u64),
    /// There is nothing in it.
    Blank,
}

/// What is wrong with a line.
#[derive(Debug)]
pub(super) enum Problem {
    /// It has an event of this name.
    UnknownEvent(String),
    /// Anything else.
    Damaged(String),
}

impl From<String> for Problem {
    fn from(problem: String) -> Self {
        Self::Damaged(problem)
    }
}

/// A run: its id, and all about it where it first appears.
#[derive(Serialize, Deserialize)]
pub(super) struct RunLine<'a> {
    pub(super) id: RunId,
    /// Which of the runs of this id.
    #[serde(default, skip_serializing_if = "is_first")]
    pub(super) nth: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) parent_id: Option<RunId>,
    #[serde(default, skip_serializing_if = "is_first")]
    pub(super) parent_nth: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    root_id: Option<RunId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<Kind<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub(super) tags: Cow<'a, [String]>,
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    pub(super) metadata: Cow<'a, Metadata>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) started_at: Option<i64>,
    /// Runs around it that are not described yet, the outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) parents: Vec<RunLine<'a>>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with the field"
)]
fn is_first(nth: &u64) -> bool {
    *nth == 0
}

/// [`RunKind`], with the name of a custom one apart: it could be that of another.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind<'a> {
    Llm,
    ChatModel,
    Chain,
    Agent,
    Tool,
    Retriever,
    Custom(Cow<'a, str>),
}

impl From<RunKind> for Kind<'_> {
    fn from(kind: RunKind) -> Self {
        match kind {
            RunKind::Llm => Self::Llm,
            RunKind::ChatModel => Self::ChatModel,
            RunKind::Chain => Self::Chain,
            RunKind::Agent => Self::Agent,
            RunKind::Tool => Self::Tool,
            RunKind::Retriever => Self::Retriever,
            RunKind::Custom(name) => Self::Custom(name.into()),
        }
    }
}

impl<'a> RunLine<'a> {
    /// A run that is described here, if it is the last of these; the others are around it.
    pub(super) fn new(run: &RunInfo, here: &[&'a RunInfo], described: &Described) -> Self {
        match here.split_last() {
            None => Self::reference(run, described),
            Some((run, around)) => Self {
                parents: around
                    .iter()
                    .map(|run| Self::described(run, described))
                    .collect(),
                ..Self::described(run, described)
            },
        }
    }

    fn reference(run: &RunInfo, described: &Described) -> Self {
        Self {
            id: run.id(),
            nth: described.nth(run).unwrap_or_default(),
            parent_id: None,
            parent_nth: 0,
            root_id: None,
            kind: None,
            name: None,
            tags: Cow::default(),
            metadata: Cow::default(),
            started_at: None,
            parents: Vec::new(),
        }
    }

    fn described(run: &'a RunInfo, described: &Described) -> Self {
        let parent_nth = run.parent().and_then(|parent| described.nth(parent));
        Self {
            parent_id: run.parent_id(),
            parent_nth: parent_nth.unwrap_or_default(),
            root_id: Some(run.root_id()),
            kind: Some(run.kind().into()),
            name: Some(run.name().into()),
            tags: run.tags().into(),
            metadata: Cow::Borrowed(run.metadata()),
            started_at: Some(micros(run.started_at())),
            ..Self::reference(run, described)
        }
    }
}

/// Appends a line to the buffer, if it can be read again. There are values that cannot: those that have
/// too many others in each other, and those whose further fields go by the names of their own.
pub(super) fn write(line: &impl Serialize, buffer: &mut Vec<u8>) -> Result<(), RecordingError> {
    let start = buffer.len();
    let written = serde_json::to_writer(&mut *buffer, line).map_err(|error| problem(&error));
    let line = buffer.get(start..).unwrap_or_default();
    let problem = match written.map(|()| read(line)) {
        Ok(Ok(_)) => {
            buffer.push(b'\n');
            return Ok(());
        }
        Ok(Err(Problem::Damaged(problem) | Problem::UnknownEvent(problem))) | Err(problem) => {
            problem
        }
    };
    buffer.truncate(start);
    Err(RecordingError::Unreadable { problem })
}

/// Reads a line; or says what is wrong with it.
pub(super) fn read(line: &[u8]) -> Result<Line, Problem> {
    #[derive(Deserialize)]
    struct Any {
        seq: Option<u64>,
        time: Option<i64>,
        run: Option<Box<RunLine<'static>>>,
        event: Option<Box<AnyEvent>>,
        lost: Option<u64>,
    }
    if line.trim_ascii().is_empty() {
        return Ok(Line::Blank);
    }
    match serde_json::from_slice(line) {
        Ok(Any {
            seq: Some(seq @ 1..=LAST_SEQ),
            time: Some(time),
            run: Some(run),
            event: Some(event),
            ..
        }) => Ok(Line::Event {
            seq,
            time,
            run,
            event,
        }),
        Ok(Any {
            lost: Some(lost), ..
        }) => Ok(Line::Lost(lost)),
        Ok(Any { seq: Some(seq), .. }) if !(1..=LAST_SEQ).contains(&seq) => {
            Err(format!("no event has the number {seq}").into())
        }
        Ok(_) => match Header::version(line) {
            Some(version) => Ok(Line::Header(version)),
            None => Err("not all of `seq`, `time`, `run` and `event` are there"
                .to_owned()
                .into()),
        },
        Err(error) => Err(unknown_event(line, &error)
            .map_or_else(|| Problem::Damaged(problem(&error)), Problem::UnknownEvent)),
    }
}

/// What a line says of its run, whatever its event is.
pub(super) fn run(line: &[u8]) -> Option<RunLine<'static>> {
    #[derive(Deserialize)]
    struct WithRun {
        run: RunLine<'static>,
    }
    let line: WithRun = serde_json::from_slice(line).ok()?;
    Some(line.run)
}

/// The name of its event, if that is what is wrong with it.
fn unknown_event(line: &[u8], error: &serde_json::Error) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        event: serde_json::Map<String, Value>,
    }
    let named: Named = serde_json::from_slice(line).ok()?;
    let (name, _) = named.event.into_iter().next()?;
    let unknown = format!("unknown variant `{name}`, ");
    error.to_string().starts_with(&unknown).then_some(name)
}

/// What is wrong, without the number of a line that is always the first.
fn problem(error: &serde_json::Error) -> String {
    let (text, at) = (error.to_string(), error.column());
    let what = text.strip_suffix(&format!(" at line 1 column {at}"));
    what.map_or_else(|| text.clone(), |what| format!("{what} at column {at}"))
}

/// Whether a line without an end has all the rest: then only its end is missing.
pub(super) fn is_whole(line: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(line).is_ok()
}
