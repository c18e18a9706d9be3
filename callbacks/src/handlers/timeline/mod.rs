//! Run trees as a page for a browser.

mod file;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::run_tree::{RunTree, TracedRun};
use super::run_trees::RunTrees;
use super::wording::json;
use crate::delivery::lock;
use crate::events::Events;
use crate::{BoxError, Handler, Registered};

/// The page, but for the trees.
const PAGE: &str = include_str!("page.html");

/// So many run trees are on the page.
const KEPT: usize = 20;

/// Writes a page on which each run is a bar on a time axis, nested as the runs are, with a tick for each
/// token, errors in red, a search, and inputs and outputs at a click.
///
/// The page is one file that needs no network and works from disk. It is written anew whenever an outermost
/// run is over, with the newest 20 of them: where they hold much, register it
/// [`background`](crate::Configured::background), and nobody waits for that. What prompts and answers say is
/// shown as text and is never HTML. It holds them all, so on Unix only its owner may read a page that
/// is new; one that is there already keeps its permissions.
///
/// ```
/// use callbacks::handlers::Timeline;
/// use callbacks::{Callbacks, Serialized};
/// use serde_json::json;
///
/// # let path = std::env::temp_dir().join(format!("timeline-{}.html", std::process::id()));
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// static SEARCH: Serialized = Serialized::new("Search");
///
/// let callbacks = Callbacks::new().with(Timeline::new(&path));
/// let tool = callbacks.tool_start(&SEARCH, "tea").await?;
/// tool.end(&json!("3 kinds of tea")).await?;
///
/// assert!(std::fs::read_to_string(&path)?.contains("3 kinds of tea"));
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A file that cannot be written is an error of the handler, each time: it is logged, counted, and the
/// runs go on. The next page has what that one would have had.
#[derive(Debug)]
pub struct Timeline(RunTrees);

impl Timeline {
    /// At this path. What is there is replaced when the first run tree is over.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let (path, kept) = (path.into(), Mutex::new(VecDeque::new()));
        Self(RunTrees::new(move |tree: RunTree| {
            let data = escaped(&data(&tree));
            let mut kept = lock(&kept);
            kept.push_back(data);
            if kept.len() > KEPT {
                kept.pop_front();
            }
            let trees: Vec<_> = kept.iter().map(String::as_str).collect();
            let page = PAGE.replace("/*trees*/", &format!("[{}]", trees.join(",")));
            let replaced = file::replace(&path, page.as_bytes());
            replaced.map_err(|error| {
                let error = format!("cannot write {}: {error}", path.display());
                BoxError::from(error)
            })
        }))
    }
}

impl Handler<Events> for Timeline {
    type Delivery = RunTrees;

    fn register(self) -> Registered<Events, Self::Delivery> {
        self.0.register().named_after::<Self>()
    }
}

/// As it can be in a script: nothing in it ends that, or begins a comment.
fn escaped(data: &Value) -> String {
    data.to_string().replace('<', "\\u003c")
}

/// What the page is told of a tree: times in milliseconds, from its start on.
fn data(tree: &RunTree) -> Value {
    let started_at = tree.root().info.started_at();
    let since_epoch = started_at.duration_since(SystemTime::UNIX_EPOCH);
    let runs = tree.runs().iter().map(|run| run_data(run, started_at));
    json!({
        "started_at": millis(since_epoch.unwrap_or_default()),
        "runs": runs.collect::<Vec<_>>(),
    })
}

fn run_data(run: &TracedRun, from: SystemTime) -> Value {
    let since = |time: SystemTime| millis(time.duration_since(from).unwrap_or_default());
    let info = &run.info;
    let notes = run.notes.iter();
    let notes = notes.map(|note| json!({ "time": since(note.time), "text": note.text }));
    json!({
        "id": info.id(),
        "depth": run.depth,
        "kind": info.kind().as_str(),
        "name": info.name(),
        "tags": info.tags(),
        "metadata": info.metadata(),
        "start": since(info.started_at()),
        "end": since(info.started_at()) + millis(run.duration().unwrap_or_default()),
        "input": run.input,
        "output": run.output,
        "error": json(&run.error),
        "usage": json(&run.usage),
        "tokens": run.tokens.iter().map(|&token| since(token)).collect::<Vec<_>>(),
        "notes": notes.collect::<Vec<_>>(),
    })
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
