//! Reading a recording.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::RecordingError;
use super::line::{self, Kind, Line, Problem, RunLine, VERSION};
use super::recovery::{LONGEST_HEADER, check_header};
use crate::events::Events;
use crate::info::Labels;
use crate::payload::RunKind;
use crate::runs::ends_run;
use crate::{EventSet, Record, RunId, RunInfo};

/// The events of a recording, in the order of its lines: an iterator. Made by
/// [`JsonLines::read`](super::JsonLines::read).
///
/// A line that is damaged is an error, and the next one comes after it. What needs it is an error too:
/// a run is described once, so without that line nobody knows what its others belong to. A line
/// that was torn off at the end of the file is none.
///
/// ```
/// use callbacks::handlers::JsonLines;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("run.jsonl");
/// # drop(JsonLines::create(&path)?);
/// let mut recording = JsonLines::read(&path)?;
/// for record in &mut recording {
///     match record {
///         Ok(record) => println!("{}: {:?}", record.run().name(), record.event()),
///         Err(error) => eprintln!("{error}"),
///     }
/// }
/// assert_eq!((recording.lost(), recording.is_torn()), (0, false));
/// # Ok::<(), callbacks::BoxError>(())
/// ```
pub struct Recording {
    file: BufReader<File>,
    path: PathBuf,
    /// How many lines were read.
    line: u64,
    runs: Runs,
    lost: u64,
    torn: bool,
    over: bool,
}

impl Recording {
    pub(super) fn open(path: &Path) -> Result<Self, RecordingError> {
        let file = File::open(path).map_err(RecordingError::io(path, "open"))?;
        let mut recording = Self {
            file: BufReader::new(file),
            path: path.to_owned(),
            line: 0,
            runs: Runs::default(),
            lost: 0,
            torn: false,
            over: false,
        };
        let header = recording.next_line(LONGEST_HEADER)?.unwrap_or_default();
        if !check_header(&header, path)? {
            (recording.torn, recording.over) = (!header.is_empty(), true);
        }
        Ok(recording)
    }

    /// How many events are missing so far, for they could not be written.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Whether there was a torn line at the end: the program that recorded it was stopped in the
    /// middle, or is about to write the rest.
    #[must_use]
    pub fn is_torn(&self) -> bool {
        self.torn
    }

    /// The next line, with its end unless it is torn or longer than this; `None` if there is no more.
    fn next_line(&mut self, longest: u64) -> Result<Option<Vec<u8>>, RecordingError> {
        let mut line = Vec::new();
        let read = (&mut self.file).take(longest).read_until(b'\n', &mut line);
        read.map_err(RecordingError::io(&self.path, "read"))?;
        self.line += 1;
        Ok((!line.is_empty()).then_some(line))
    }

    /// What a line says; `None` if that is no event.
    fn understand(&mut self, line: &[u8]) -> Result<Option<Record>, Problem> {
        match line::read(line)? {
            Line::Lost(lost) => {
                self.lost = self.lost.saturating_add(lost);
                Ok(None)
            }
            Line::Blank | Line::Header(1..=VERSION) => Ok(None),
            Line::Header(version) => {
                let what = format!("a recording with version {version} of the schema begins here");
                Err(format!("{what}, and this `callbacks` does not know that").into())
            }
            Line::Event {
                seq,
                time,
                run,
                event,
            } => {
                let key = (run.id, run.nth);
                let run = self.runs.find(*run)?;
                if ends_run(&Events::view(&event)) {
                    self.runs.known.remove(&key);
                }
                Ok(Some(Record::new(run, seq, moment(time)?, *event)))
            }
        }
    }

    fn wrong(&self, problem: Problem) -> RecordingError {
        let (path, line) = (self.path.clone(), self.line);
        match problem {
            Problem::UnknownEvent(event) => RecordingError::UnknownEvent { path, line, event },
            Problem::Damaged(problem) => RecordingError::Line {
                path,
                line,
                problem,
            },
        }
    }
}

impl Iterator for Recording {
    type Item = Result<Record, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.over {
            let line = match self.next_line(u64::MAX) {
                Ok(Some(line)) => line,
                Ok(None) => {
                    self.over = true;
                    break;
                }
                Err(error) => {
                    self.over = true;
                    return Some(Err(error));
                }
            };
            if !line.ends_with(b"\n") && !line::is_whole(&line) {
                (self.torn, self.over) = (true, true);
                break;
            }
            match self.understand(&line) {
                Ok(None) => {}
                Ok(Some(record)) => return Some(Ok(record)),
                Err(problem) => {
                    // What it says of its run holds for the lines after it.
                    let _ = line::run(&line).map(|run| self.runs.find(run));
                    return Some(Err(self.wrong(problem)));
                }
            }
        }
        None
    }
}

impl std::iter::FusedIterator for Recording {}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording")
            .field("path", &self.path)
            .field("line", &self.line)
            .finish_non_exhaustive()
    }
}

fn moment(micros: i64) -> Result<SystemTime, String> {
    line::moment(micros).ok_or_else(|| format!("this system knows no moment {micros}"))
}

/// What was said about runs.
#[derive(Default)]
struct Runs {
    /// Those that may have more events, or runs in them.
    known: HashMap<Key, RunInfo>,
    /// The names of custom kinds.
    kinds: HashSet<&'static str>,
}

/// The id, and which of the runs of that id.
type Key = (RunId, u64);

impl Runs {
    fn find(&mut self, mut run: RunLine<'static>) -> Result<RunInfo, String> {
        for run in std::mem::take(&mut run.parents) {
            self.find(run)?;
        }
        let key = (run.id, run.nth);
        let Some(info) = self.describe(run)? else {
            return self.known(key);
        };
        // Described again in the same words, by a file that was opened again, it is the same run.
        let same = self.known.get(&key).filter(|known| is_same(known, &info));
        let info = same.cloned().unwrap_or(info);
        self.known.insert(key, info.clone());
        Ok(info)
    }

    fn known(&self, key: Key) -> Result<RunInfo, String> {
        let known = self.known.get(&key).cloned();
        known.ok_or_else(|| format!("no line before it describes run {}", key.0))
    }

    /// The run, if this describes it.
    fn describe(&mut self, run: RunLine<'static>) -> Result<Option<RunInfo>, String> {
        let (kind, name, started_at) = match (run.kind, run.name, run.started_at) {
            (Some(kind), Some(name), Some(started_at)) => (kind, name, moment(started_at)?),
            (None, None, None) => return Ok(None),
            _ => return Err(format!("it describes run {} only in part", run.id)),
        };
        let parent = run.parent_id.map(|parent| (parent, run.parent_nth));
        let parent = parent.map(|parent| self.known(parent)).transpose()?;
        let labels = Labels {
            tags: run.tags.into_owned(),
            metadata: run.metadata.into_owned(),
        };
        let (id, kind, labels) = (Some(run.id), self.kind(kind), Arc::new(labels));
        let info = RunInfo::started(id, kind, name, labels, parent, started_at);
        Ok(Some(info))
    }

    fn kind(&mut self, kind: Kind<'_>) -> RunKind {
        match kind {
            Kind::Llm => RunKind::Llm,
            Kind::ChatModel => RunKind::ChatModel,
            Kind::Chain => RunKind::Chain,
            Kind::Agent => RunKind::Agent,
            Kind::Tool => RunKind::Tool,
            Kind::Retriever => RunKind::Retriever,
            Kind::Custom(name) => RunKind::Custom(self.custom(&name)),
        }
    }

    /// The name of a custom kind lives for ever, so of each there is one.
    fn custom(&mut self, name: &str) -> &'static str {
        // What events outside any run have.
        if name == "none" {
            return "none";
        }
        self.kinds.get(name).copied().unwrap_or_else(|| {
            let name = name.to_owned().leak();
            self.kinds.insert(name);
            name
        })
    }
}

/// Whether both say the same of a run of one id.
fn is_same(one: &RunInfo, other: &RunInfo) -> bool {
    (one.kind(), one.name(), one.started_at()) == (other.kind(), other.name(), other.started_at())
        && (one.tags(), one.metadata()) == (other.tags(), other.metadata())
        && one.parent() == other.parent()
}
