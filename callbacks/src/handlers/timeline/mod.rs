//! Run trees as a page for a browser.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::run_tree::{RunTree, TracedRun};
use super::run_trees::{RunTrees, json};
use crate::delivery::lock;
use crate::events::Events;
use crate::{Handler, Registered};

/// The page, but for the trees.
const PAGE: &str = include_str!("page.html");

/// So many run trees are on the page.
const KEPT: usize = 20;

/// Writes a page on which each run is a bar on a time axis, nested as the runs are, with a tick for each
/// token, errors in red, a search, and inputs and outputs at a click.
///
/// The page is one file that needs no network and works from disk. It is written anew whenever an outermost
/// run is over, with the newest 20 of them. What prompts and answers say is shown as text and is
/// never HTML. It holds them all: it is for whoever may read the prompts.
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
/// runs go on.
#[derive(Debug)]
pub struct Timeline(RunTrees);

impl Timeline {
    /// At this path. What is there is replaced when the first run tree is over.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let (path, kept) = (path.into(), Mutex::new(VecDeque::new()));
        Self(RunTrees::new(move |tree: RunTree| {
            let mut kept = lock(&kept);
            kept.push_back(data(&tree));
            if kept.len() > KEPT {
                kept.pop_front();
            }
            replace(&path, &page(kept.make_contiguous()))
        }))
    }
}

impl Handler<Events> for Timeline {
    type Delivery = RunTrees;

    fn register(self) -> Registered<Events, Self::Delivery> {
        self.0.register()
    }
}

/// A page with these trees.
fn page(trees: &[Value]) -> String {
    let trees = Value::from(trees).to_string();
    // So that nothing in it ends the script, or begins a comment.
    let trees = trees.replace('<', "\\u003c");
    PAGE.replace("/*trees*/", &trees)
}

/// Writes the file, such that whoever reads it never finds half of it.
fn replace(path: &Path, page: &str) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    fs::write(&beside, page)?;
    fs::rename(&beside, path)
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
        "end": since(run.ended_at.unwrap_or(info.started_at())),
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
