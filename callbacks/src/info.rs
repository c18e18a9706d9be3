//! What a handler is told about the run that an event belongs to.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::iter::{once, successors};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use crate::RunId;
use crate::payload::{Metadata, RunKind};

/// Tags and metadata, as a run inherited them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Labels {
    pub(crate) tags: Vec<String>,
    pub(crate) metadata: Metadata,
}

impl Labels {
    /// Adds a tag that is not there yet.
    pub(crate) fn tag(&mut self, tag: &String) {
        if !self.tags.contains(tag) {
            self.tags.push(tag.clone());
        }
    }
}

/// What is known about a run from its start on. Cheap to clone, and good to keep: it holds no
/// handler, and from the start on what it says does not change.
///
/// A handler gets it from [`Run::info`], to remember a run beyond the event: as the key of a map, for two
/// are equal if they are of the same run, which a question is that is asked before the run starts. Emitters
/// may give two runs the same id. (Where clippy warns of a mutable key: what can change in it, the id and
/// the time of the start, is not what it is compared by.)
///
/// ```
/// use std::collections::HashMap;
/// use std::sync::Mutex;
///
/// use callbacks::{Run, RunInfo, callback_handler};
///
/// /// How many pieces each answer came in.
/// #[derive(Default)]
/// struct Pieces(Mutex<HashMap<RunInfo, u64>>);
///
/// #[callback_handler]
/// impl Pieces {
///     fn on_llm_new_token(&self, run: &Run<'_>) {
///         *self.0.lock().unwrap().entry(run.info().clone()).or_default() += 1;
///     }
///
///     fn on_llm_end(&self, run: &Run<'_>) {
///         let pieces = self.0.lock().unwrap().remove(run.info());
///         println!("{}: {}", run.name(), pieces.unwrap_or_default());
///     }
/// }
/// ```
#[derive(Clone)]
pub struct RunInfo(Arc<Facts>);

struct Facts {
    id: OnceLock<RunId>,
    kind: RunKind,
    name: Cow<'static, str>,
    labels: Arc<Labels>,
    parent: Option<RunInfo>,
    /// How much there is that something may still come of: with the runs inside, as far as that is so of them.
    live: AtomicUsize,
    started_at: SystemTime,
    /// When it was decided that it starts, if handlers were asked.
    decided_at: OnceLock<SystemTime>,
}

impl RunInfo {
    pub(crate) fn new(
        id: Option<RunId>,
        kind: RunKind,
        name: Cow<'static, str>,
        labels: Arc<Labels>,
        parent: Option<RunInfo>,
    ) -> Self {
        Self::started(id, kind, name, labels, parent, SystemTime::now())
    }

    /// A run that was started then.
    pub(crate) fn started(
        id: Option<RunId>,
        kind: RunKind,
        name: Cow<'static, str>,
        labels: Arc<Labels>,
        parent: Option<RunInfo>,
        started_at: SystemTime,
    ) -> Self {
        Self(Arc::new(Facts {
            id: id.map_or_else(OnceLock::new, OnceLock::from),
            kind,
            name,
            labels,
            parent,
            live: AtomicUsize::new(0),
            started_at,
            decided_at: OnceLock::new(),
        }))
    }

    /// The time that it took to decide about it is none of the run's.
    pub(crate) fn decided(&self) {
        self.0.decided_at.get_or_init(SystemTime::now);
    }

    /// The empty run, in which events outside any run are emitted.
    pub(crate) fn outside(labels: Arc<Labels>) -> Self {
        let kind = RunKind::Custom("none");
        Self::new(Some(RunId::NIL), kind, Cow::Borrowed(""), labels, None)
    }

    /// The run's id, made when it is first asked for.
    #[must_use]
    pub fn id(&self) -> RunId {
        if let Some(id) = self.0.id.get() {
            return *id;
        }
        // Ids grow from parent to child, so the ancestors' are made first; in a loop, for run trees
        // can be deep.
        let nameless = self.ancestors().take_while(|run| run.0.id.get().is_none());
        for run in nameless.collect::<Vec<_>>().into_iter().rev() {
            run.0.id.get_or_init(RunId::next);
        }
        *self.0.id.get_or_init(RunId::next)
    }

    /// Whether nobody else knows of it, so that it cannot come up again.
    pub(crate) fn is_forgotten(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    /// Whether it is over: it has ended, and neither it nor a run inside it has an event that waits in a queue,
    /// on a lane or in a stream. There is nothing to come that a handler keeps something for.
    ///
    /// Who hears how runs end need not ask. A handler can be narrowed by
    /// [`except`](crate::Configured::except) so that it does not hear it;
    /// [`OpenRuns`](crate::handlers::OpenRuns) asks for it. A run of a recording that is read is over. When it is
    /// replayed, that is as if it happened now; but what is told of a run whose start is not there is told of one
    /// that is over between its events.
    ///
    /// An event that is emitted while somebody else ends the run may be on its way to a handler all the same, and
    /// be queued there later. A queue lets go of a run a moment after the handler is done.
    ///
    /// ```
    /// use callbacks::{Callbacks, Serialized};
    /// use serde_json::json;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// # let callbacks = Callbacks::new().with(callbacks::on(|_: &callbacks::events::ToolEnd<'_>| ()));
    /// static SEARCH: Serialized = Serialized::new("Search");
    ///
    /// let tool = callbacks.tool_start(&SEARCH, "tea").await?;
    /// let run = tool.info().clone();
    /// assert!(!run.is_over());
    /// tool.end(&json!("3 kinds of tea")).await?;
    /// assert!(run.is_over());
    /// # Ok::<(), callbacks::EmitError>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.live.load(Ordering::Acquire) == 0
    }

    /// Something may come of it. The first time, something may of the run around it, and so on.
    pub(crate) fn hold(&self) {
        let first = |run: &&Self| run.0.live.fetch_add(1, Ordering::Relaxed) == 0;
        let _held = once(self).chain(self.ancestors()).find(|run| !first(run));
    }

    /// The other way round.
    pub(crate) fn let_go(&self) {
        let last = |run: &&Self| run.0.live.fetch_sub(1, Ordering::AcqRel) == 1;
        let _held = once(self).chain(self.ancestors()).find(|run| !last(run));
    }

    /// The run that this one was started in; `None` at the root.
    #[must_use]
    pub fn parent(&self) -> Option<&RunInfo> {
        self.0.parent.as_ref()
    }

    /// The id of the run that this one was started in; `None` at the root.
    #[must_use]
    pub fn parent_id(&self) -> Option<RunId> {
        self.parent().map(Self::id)
    }

    /// The id of the outermost run around this one: its own at the root.
    #[must_use]
    pub fn root_id(&self) -> RunId {
        self.root().id()
    }

    /// The outermost run around this one: itself at the root.
    pub(crate) fn root(&self) -> &Self {
        self.ancestors().last().unwrap_or(self)
    }

    /// The runs around this one, the innermost first.
    ///
    /// ```
    /// use callbacks::events::ToolStart;
    /// use callbacks::{Callbacks, Run, RunKind, Serialized, on};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// static AGENT: Serialized = Serialized::new("Agent");
    /// static SEARCH: Serialized = Serialized::new("Search");
    ///
    /// let callbacks = Callbacks::new().with(on(|_: &ToolStart<'_>, run: &Run<'_>| {
    ///     let agent = run.ancestors().find(|run| run.kind() == RunKind::Agent);
    ///     assert_eq!(agent.unwrap().name(), "Agent");
    /// }));
    /// let agent = callbacks.chain_start(&AGENT, || "tea".into()).kind(RunKind::Agent).await?;
    /// let tool = agent.callbacks().tool_start(&SEARCH, "tea").await?;
    /// assert_eq!(tool.info().ancestors().count(), 1);
    /// # Ok::<(), callbacks::EmitError>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ancestors(&self) -> impl Iterator<Item = &Self> {
        successors(self.parent(), |run| run.parent())
    }

    /// What the run is doing.
    #[must_use]
    pub fn kind(&self) -> RunKind {
        self.0.kind
    }

    /// The name that the emitter gave the run, otherwise that of what runs, otherwise its kind. Empty for what is
    /// emitted outside of any run, whose kind is [`RunKind::Custom`] of `none`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The tags of the [`Callbacks`](crate::Callbacks) it was started from.
    #[must_use]
    pub fn tags(&self) -> &[String] {
        &self.0.labels.tags
    }

    /// The metadata of the [`Callbacks`](crate::Callbacks) it was started from.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.0.labels.metadata
    }

    /// When it was started. Where handlers are asked whether it may, that is when they were done; until then,
    /// it is when the first was asked.
    #[must_use]
    pub fn started_at(&self) -> SystemTime {
        let decided_at = self.0.decided_at.get();
        decided_at.copied().unwrap_or(self.0.started_at)
    }
}

impl PartialEq for RunInfo {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for RunInfo {}

impl Hash for RunInfo {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

impl fmt::Debug for RunInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunInfo")
            .field("id", &self.id())
            .field("parent_id", &self.parent_id())
            .field("kind", &self.kind())
            .field("name", &self.name())
            .field("tags", &self.tags())
            .field("metadata", &self.metadata())
            .field("started_at", &self.started_at())
            .finish()
    }
}

impl Drop for Facts {
    /// A long line of ancestors goes in a loop: by recursion it would overflow the stack.
    fn drop(&mut self) {
        let mut next = self.parent.take();
        while let Some(info) = next {
            next = Arc::into_inner(info.0).and_then(|mut facts| facts.parent.take());
        }
    }
}

/// The run that an event belongs to, as a handler sees it.
///
/// It dereferences to [`RunInfo`], which says most of it.
///
/// ```
/// use callbacks::{LlmResult, Run, callback_handler};
///
/// struct Logger;
///
/// #[callback_handler]
/// impl Logger {
///     fn on_llm_end(&self, response: &LlmResult, run: &Run<'_>) {
///         println!("#{} {} {}: {}", run.seq(), run.name(), run.id(), response.text());
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Run<'r> {
    info: &'r RunInfo,
    seq: u64,
    recorded_at: Option<SystemTime>,
}

impl<'r> Run<'r> {
    pub(crate) fn new(info: &'r RunInfo, seq: u64, recorded_at: Option<SystemTime>) -> Self {
        Self {
            info,
            seq,
            recorded_at,
        }
    }

    /// The number of the event in its run tree: unique there, and growing in the order of
    /// emission.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// When the event happened: where a recording is [replayed](crate::handlers::replay), what that says,
    /// and else what the clock says now, that is, while the handler is called.
    ///
    /// Whoever measures how long something took asks this, and not the clock, and is right in a replay, too.
    /// Until it is asked it costs nothing. Each call reads the clock again; a handler that is called
    /// late, such as one in the [background](crate::Configured::background), reads it late.
    ///
    /// ```
    /// use callbacks::{Run, callback_handler};
    ///
    /// struct Slow;
    ///
    /// #[callback_handler]
    /// impl Slow {
    ///     fn on_tool_end(&self, run: &Run<'_>) {
    ///         // a clock that was set back in between is as good as none
    ///         let took = run.time().duration_since(run.started_at()).unwrap_or_default();
    ///         if took.as_secs() > 10 {
    ///             println!("{} took {took:?}", run.name());
    ///         }
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn time(&self) -> SystemTime {
        self.recorded_at.unwrap_or_else(SystemTime::now)
    }

    /// When the event was recorded, if a recording is [replayed](crate::handlers::replay); `None` if it happens
    /// now. For handlers with a clock of their own, and for those that leave out of a replay what they would
    /// do twice, such as to send mail.
    #[must_use]
    pub fn recorded_at(&self) -> Option<SystemTime> {
        self.recorded_at
    }

    /// What is known about the run, to clone and keep.
    #[must_use]
    pub fn info(&self) -> &'r RunInfo {
        self.info
    }
}

impl std::ops::Deref for Run<'_> {
    type Target = RunInfo;

    fn deref(&self) -> &RunInfo {
        self.info
    }
}
