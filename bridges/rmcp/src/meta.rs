//! What the two sides of a call tell each other about their runs, in the `_meta` of the request.

use std::collections::HashMap;

use callbacks::{Callbacks, RunId, RunInfo};
use rmcp::model::RequestMetaObject;
use serde_json::Value;

/// The metadata of a server's runs that has the id of the client's run. Inherited by the runs inside.
pub const REMOTE_RUN_ID: &str = "mcp.client.run_id";
/// The metadata of a server's runs that has the id of the outermost run around the client's.
pub const REMOTE_ROOT_ID: &str = "mcp.client.root_run_id";

/// Keys of one's own have a prefix; that of others is a domain, of this crate where it is published.
const RUN: &str = "io.crates.callbacks/run";

/// What trace context is made of: keys without a prefix, by SEP-414.
const TRACE_CONTEXT: [&str; 3] = ["traceparent", "tracestate", "baggage"];

/// The run of a client from which a tool was called, as the server knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RemoteRun {
    /// The run of the call.
    pub id: RunId,
    /// The outermost run around it.
    pub root_id: RunId,
}

impl RemoteRun {
    /// The run that a request names; `None` if it names none, or not properly.
    ///
    /// What it says is the client's word: good to find the other half of a run tree, but not to
    /// decide who may do what.
    ///
    /// ```
    /// use callbacks_rmcp::RemoteRun;
    /// use rmcp::RoleServer;
    /// use rmcp::service::RequestContext;
    ///
    /// fn log(request: &RequestContext<RoleServer>) {
    ///     if let Some(run) = RemoteRun::of(&request.meta) {
    ///         println!("for run {} in {}", run.id, run.root_id);
    ///     }
    /// }
    /// # let _ = log;
    /// ```
    #[must_use]
    pub fn of(meta: &RequestMetaObject) -> Option<Self> {
        let (root_id, id) = meta.get(RUN)?.as_str()?.split_once('-')?;
        let (id, root_id) = (parse(id)?, parse(root_id)?);
        Some(Self { id, root_id })
    }

    /// Writes it as `traceparent` is written: digits of the outermost run, and of the run itself.
    pub(crate) fn tell(run: &RunInfo, meta: &mut RequestMetaObject) {
        let (root_id, id) = (run.root_id().as_u128(), run.id().as_u128());
        let run = format!("{root_id:032x}-{id:032x}");
        meta.insert(RUN.to_owned(), Value::String(run));
    }

    pub(crate) fn note(self, callbacks: &Callbacks) -> Callbacks {
        callbacks
            .metadata(REMOTE_RUN_ID, self.id.to_string())
            .metadata(REMOTE_ROOT_ID, self.root_id.to_string())
    }
}

/// The id that 32 digits are, if it is one.
fn parse(digits: &str) -> Option<RunId> {
    let hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let id = u128::from_str_radix(digits, 16).ok()?;
    (digits.len() == 32 && hexadecimal && id != 0).then(|| id.into())
}

/// The W3C trace context of a request, as headers for a propagator: `traceparent`, `tracestate` and
/// `baggage`, as far as they are there and are texts. Whether they are well-formed is the
/// propagator's to judge.
///
/// ```
/// use callbacks_rmcp::trace_context;
/// use rmcp::model::RequestMetaObject;
///
/// let mut meta = RequestMetaObject::default();
/// meta.insert("tracestate".to_owned(), "vendor=1".into());
/// meta.insert("progressToken".to_owned(), 7.into());
/// let headers = trace_context(&meta);
/// assert_eq!(headers["tracestate"], "vendor=1");
/// assert_eq!(headers.len(), 1);
/// ```
#[must_use]
pub fn trace_context(meta: &RequestMetaObject) -> HashMap<String, String> {
    let header = |key: &str| Some((key.to_owned(), meta.get(key)?.as_str()?.to_owned()));
    TRACE_CONTEXT.into_iter().filter_map(header).collect()
}

/// Adds headers to a request, unless the caller gave it a trace context of its own.
pub(crate) fn propagate(
    meta: &mut RequestMetaObject,
    write: impl FnOnce(&mut HashMap<String, String>),
) {
    if TRACE_CONTEXT.iter().any(|key| meta.contains_key(*key)) {
        return;
    }
    let mut headers = HashMap::new();
    write(&mut headers);
    let entries = headers
        .into_iter()
        .map(|(key, value)| (key, Value::String(value)));
    for (key, value) in entries {
        meta.entry(key).or_insert(value);
    }
}
