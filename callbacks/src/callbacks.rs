//! `Callbacks`: the value that carries handlers, tags and metadata to where things happen.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_core::Stream;
use serde_json::Value;

use crate::ambient;
use crate::argument::{Payload, WhatRuns};
use crate::delivery::{
    Entry, Place, Reach, Registry, Replied, Sequencer, Site, ask, emit, flush, places,
};
use crate::events::{CustomEvent, Events};
use crate::handler::{Handler, Queue, handler};
use crate::info::Labels;
use crate::payload::{Message, ModelParams, RunKind};
use crate::record::{Record, RecordHandler, Sink};
use crate::runs::{Inputs, Messages, Node, Prompts, Query, Start, ToolInput};
use crate::{
    BlockingCallbacks, DecisionEvent, EmitError, Event, EventSet, FlushReport, Interests, Live,
    NoReply, RunInfo,
};

/// Handlers of any number of event sets, with tags, metadata, and a place in the tree of runs.
///
/// It is cheap to clone and never changes: `with`, `tag` and the others make another value. A
/// framework takes one with each request and starts its runs from it; what runs inside a run is
/// started from [that run's](crate::RunGuard::callbacks).
///
/// ```
/// use callbacks::{Callbacks, LlmResult, Serialized, callback_handler};
///
/// struct Printer;
///
/// #[callback_handler]
/// impl Printer {
///     fn on_llm_new_token(&self, token: &str) {
///         print!("{token}");
///     }
///
///     async fn on_llm_end(&self, response: &LlmResult) {
///         println!("\n{} tokens", response.usage().output_tokens.unwrap_or_default());
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let callbacks = Callbacks::new().with(Printer).tag("prod").metadata("user", "42");
///
/// let run = callbacks.llm_start(&Serialized::new("MyModel"), || vec!["Why?".to_owned()]).await?;
/// run.new_token("Because.").await?;
/// run.end(|| LlmResult::from_text("Because.")).await?;
/// # Ok::<(), callbacks::EmitError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
#[must_use = "`Callbacks` does not change: `with` and the others return another value"]
pub struct Callbacks {
    /// `None` while there is nothing to carry.
    inner: Option<Arc<Inner>>,
}

struct Inner {
    registry: Arc<Registry>,
    origin: Origin,
    outside: OnceLock<Outside>,
}

/// Where events outside any run are emitted. Each value has its own, so that one request waits for
/// no other.
struct Outside {
    /// The run that handlers see where there is none.
    info: Live,
    sequencer: Arc<Sequencer>,
}

/// Where events are emitted and runs started.
#[derive(Clone)]
enum Origin {
    Outside,
    Inside(Arc<Node>),
}

impl Callbacks {
    /// No handlers, no tags, no metadata: runs started from it cost next to nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a handler, for all runs started from this value and all runs inside them.
    ///
    /// Takes anything under `#[callback_handler]`, as `T` or `Arc<T>`, a closure
    /// [`on`](crate::on)`(|event: &LlmEnd<'_>| ..)`, or [`handler`](crate::handler)`(T)` with options: they go
    /// around the handler, `.with(handler(H).inline())`.
    /// The set of events is inferred; for a type that handles several sets, say which:
    /// `.with::<shop::Events, _>(handler.clone())`.
    ///
    /// The same `Arc` registered again is called once, with the options of its first registration. Which
    /// handlers there are, and by which methods each is called, is shown by `{callbacks:?}`.
    pub fn with<S: EventSet, H: Handler<S>>(&self, handler: H) -> Self {
        let entry = Entry::new(handler);
        self.change(|registry| registry.with(&entry, Reach::Inherited))
    }

    /// With a handler for the runs started from this value, but not for those inside them, nor for what is
    /// emitted with [`RunGuard::callbacks`](crate::RunGuard::callbacks), which is what those are started from.
    ///
    /// ```
    /// use callbacks::events::ChainStart;
    /// use callbacks::{Callbacks, Serialized, on};
    /// use serde_json::json;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// static AGENT: Serialized = Serialized::new("Agent");
    ///
    /// let outermost = on(|event: &ChainStart<'_>| println!("asked for {}", event.inputs));
    /// let callbacks = Callbacks::new().with_local(outermost);
    /// let agent = callbacks.chain_start(&AGENT, || json!("tea")).await?;
    /// assert!(callbacks.wants::<ChainStart>() && !agent.callbacks().wants::<ChainStart>());
    /// # Ok::<(), callbacks::EmitError>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_local<S: EventSet, H: Handler<S>>(&self, handler: H) -> Self {
        let entry = Entry::new(handler);
        self.change(|registry| registry.with(&entry, Reach::Local))
    }

    /// With a handler that writes every built-in event into a stream, in order: for a loop that
    /// reads, a web socket, a test. The stream ends when the last clone of the returned value is
    /// gone, and all runs that were started from it are.
    ///
    /// The queue is one for all run trees. With [`OnFull::Wait`](crate::OnFull::Wait), emissions
    /// wait for whoever reads; with [`OnFull::DropNewest`](crate::OnFull::DropNewest), who reads
    /// late misses events, but no start and no terminal event. A stream that is dropped holds up
    /// nobody.
    ///
    /// ```
    /// use callbacks::events::AnyEvent;
    /// use callbacks::{Callbacks, LlmResult, Queue, Serialized};
    /// use futures_util::StreamExt;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// static MODEL: Serialized = Serialized::new("MyModel");
    ///
    /// let (callbacks, mut records) = Callbacks::new().record(Queue::bounded(256));
    /// let run = callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]).await?;
    /// run.new_token("Because.").await?;
    /// run.end(|| LlmResult::from_text("Because.")).await?;
    /// drop(callbacks);
    ///
    /// let mut tokens = Vec::new();
    /// while let Some(record) = records.next().await {
    ///     if let AnyEvent::LlmNewToken(event) = record.event() {
    ///         tokens.push(event.token.to_owned());
    ///     }
    /// }
    /// assert_eq!(tokens, ["Because."]);
    /// # Ok::<(), callbacks::EmitError>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn record(
        &self,
        queue: Queue,
    ) -> (Self, impl Stream<Item = Record> + Send + Unpin + use<>) {
        self.record_set(queue)
    }

    /// Like [`record`](Self::record), for the events of another set.
    pub fn record_set<S: EventSet>(
        &self,
        queue: Queue,
    ) -> (Self, impl Stream<Item = Record<S>> + Send + Unpin + use<S>) {
        let (sink, records) = Sink::new(places(queue));
        let recording = handler(Arc::new(RecordHandler)).background(queue);
        let entry = Entry::with_sink(recording, Some(sink));
        (
            self.change(|registry| registry.with(&entry, Reach::Inherited)),
            records,
        )
    }

    /// Waits until all events have arrived that are on their way to the handlers of this value:
    /// those on lanes and in background queues, of closing runs, and those put off inside of
    /// callbacks; whoever emitted them. What is emitted later is not waited for. It waits no longer
    /// than the timeout, and then says what became of everything. It drives nothing itself: what is on
    /// its way on a runtime that is not run any more, or in a future that is not polled, stays there.
    ///
    /// Call it before the program ends. Inside a callback it does not wait, for it could wait for
    /// itself. It does not wait for whoever reads [records](Self::record); what is not read yet is
    /// reported as pending.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use callbacks::{Callbacks, LlmResult, Queue, Serialized, callback_handler, handler};
    ///
    /// struct Audit;
    ///
    /// #[callback_handler]
    /// impl Audit {
    ///     async fn on_llm_end(&self, response: &LlmResult) { /* write it to a database */ }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// static MODEL: Serialized = Serialized::new("MyModel");
    ///
    /// let audit = handler(Audit).background(Queue::bounded(1024)).named("audit");
    /// let callbacks = Callbacks::new().with(audit);
    /// let run = callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]).await?;
    /// run.end(|| LlmResult::from_text("Because.")).await?;
    ///
    /// let report = callbacks.flush(Duration::from_secs(5)).await;
    /// assert!(report.is_complete(), "{report:?}");
    /// assert_eq!(report.handler("audit").unwrap().delivered, 1);
    /// # Ok::<(), callbacks::EmitError>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn flush(&self, timeout: Duration) -> impl Future<Output = FlushReport> + Send + use<> {
        flush(self.registry().ledgers(), timeout)
    }

    /// With a tag, for all runs started from this value and all runs inside them.
    pub fn tag(&self, tag: impl Into<String>) -> Self {
        self.tagged(Reach::Inherited, &tag.into())
    }

    /// With a tag for the runs started from this value, but not for those inside them.
    pub fn local_tag(&self, tag: impl Into<String>) -> Self {
        self.tagged(Reach::Local, &tag.into())
    }

    fn tagged(&self, reach: Reach, tag: &String) -> Self {
        self.change(|registry| registry.label(reach, |labels| labels.tag(tag)))
    }

    /// With an entry of metadata, for all runs started from this value and all runs inside them.
    pub fn metadata(&self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        let (key, value) = (key.into(), value.into());
        let add = |labels: &mut Labels| {
            labels.metadata.insert(key.clone(), value.clone());
        };
        self.change(|registry| registry.label(Reach::Inherited, add))
    }

    /// With the handlers, tags and metadata of `other` after those of this value. What is local
    /// there is local here; where both have an entry of metadata, that of `other` holds. The place in
    /// the run tree is that of this value.
    ///
    /// ```
    /// use callbacks::Callbacks;
    ///
    /// let application = Callbacks::new().tag("prod");
    /// let request = application.merge(&Callbacks::new().metadata("user", "42"));
    /// ```
    pub fn merge(&self, other: &Self) -> Self {
        self.merged(other, Reach::Inherited)
    }

    /// Like [`merge`](Self::merge), but all of `other` is local: for what belongs to a model or a
    /// tool itself, and not to what runs inside it.
    ///
    /// ```
    /// use callbacks::events::ToolEnd;
    /// use callbacks::{Callbacks, Serialized, on};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// static SEARCH: Serialized = Serialized::new("Search");
    ///
    /// let of_request = Callbacks::new().tag("prod");
    /// let of_tool = Callbacks::new().with(on(|event: &ToolEnd<'_>| println!("{}", event.output)));
    /// let callbacks = of_request.merge_local(&of_tool);
    /// let tool = callbacks.tool_start(&SEARCH, "tea").await?;
    /// assert!(callbacks.wants::<ToolEnd>() && !tool.callbacks().wants::<ToolEnd>());
    /// # Ok::<(), callbacks::EmitError>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn merge_local(&self, other: &Self) -> Self {
        self.merged(other, Reach::Local)
    }

    /// The callbacks of the run in whose [`scope`](crate::RunGuard::scope) this is called; `None`
    /// outside of any.
    #[must_use = "`Callbacks::current` only looks"]
    pub fn current() -> Option<Self> {
        let inner = ambient::current()?.downcast().ok();
        inner.map(|inner| Self { inner: Some(inner) })
    }

    /// Polls the future with this value as the current one.
    pub(crate) fn scope<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        let inner = self.inner.clone();
        ambient::scope(inner.map(|inner| inner as _), future)
    }

    /// Calls the function with this value as the current one.
    pub(crate) fn call_in_scope<R>(&self, call: impl FnOnce() -> R) -> R {
        let inner = self.inner.clone();
        ambient::call_in(inner.map(|inner| inner as _), call)
    }

    fn merged(&self, other: &Self, reach: Reach) -> Self {
        match &other.inner {
            Some(other) => self.change(|registry| registry.merged(&other.registry, reach)),
            None => self.clone(),
        }
    }

    fn change(&self, change: impl FnOnce(&Arc<Registry>) -> Registry) -> Self {
        let origin = self.inner.as_ref().map(|inner| inner.origin.clone());
        let origin = origin.unwrap_or(Origin::Outside);
        Self::of(Arc::new(change(&self.registry())), origin)
    }

    fn of(registry: Arc<Registry>, origin: Origin) -> Self {
        let outside = OnceLock::new();
        let inner = Inner {
            registry,
            origin,
            outside,
        };
        Self {
            inner: Some(Arc::new(inner)),
        }
    }

    /// What is started inside a run gets.
    pub(crate) fn in_run(node: &Arc<Node>) -> Self {
        let registry = node.registry.inherited().clone();
        Self::of(registry, Origin::Inside(node.clone()))
    }

    pub(crate) fn registry(&self) -> Arc<Registry> {
        self.inner
            .as_ref()
            .map_or_else(Arc::default, |inner| inner.registry.clone())
    }

    /// The run that this value belongs to: that of [`RunGuard::callbacks`](crate::RunGuard::callbacks).
    ///
    /// ```
    /// use callbacks::{Callbacks, Serialized};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// static SEARCH: Serialized = Serialized::new("Search");
    ///
    /// let callbacks = Callbacks::new();
    /// assert_eq!(callbacks.run_info(), None);
    /// let tool = callbacks.tool_start(&SEARCH, "tea").await?;
    /// assert_eq!(tool.callbacks().run_info().unwrap().name(), "Search");
    /// # Ok::<(), callbacks::EmitError>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn run_info(&self) -> Option<&RunInfo> {
        self.run().map(|run| &run.info)
    }

    pub(crate) fn run(&self) -> Option<&Node> {
        match self.inner.as_ref().map(|inner| &inner.origin) {
            Some(Origin::Inside(node)) => Some(node),
            _ => None,
        }
    }

    /// Whether a handler listens to any of these built-in events, or to another set.
    pub(crate) fn hears(&self, events: Interests) -> bool {
        self.inner
            .as_ref()
            .is_some_and(|inner| inner.registry.hears::<Events>(events))
    }

    /// Whether a handler listens to events `E`. If not, emitting one costs next to nothing.
    ///
    /// ```
    /// use callbacks::events::LlmNewToken;
    /// use callbacks::Callbacks;
    ///
    /// assert!(!Callbacks::new().wants::<LlmNewToken>());
    /// ```
    #[must_use]
    pub fn wants<E: Event>(&self) -> bool {
        self.inner
            .as_ref()
            .is_some_and(|inner| inner.registry.wants::<E>())
    }

    /// Emits an event of any set: in the run that this value belongs to, otherwise outside any run.
    /// There the handlers see the empty run, of nil id, with the tags and metadata of this value.
    ///
    /// # Errors
    ///
    /// [`EmitError::Raised`] if a handler failed whose errors are raised, and [`EmitError::RunClosed`] if a handler
    /// listens and the run that this value belongs to is over.
    pub fn emit<'a, E: Event<Reply: NoReply> + 'a>(
        &'a self,
        event: E,
    ) -> impl Future<Output = Result<(), EmitError>> + Send + 'a {
        let inner = self.inner.as_deref();
        emit(inner.filter(|inner| inner.registry.wants::<E>()), event)
    }

    /// Emits a [`CustomEvent`] like [`emit`](Self::emit): for code that has no guard of the run, such
    /// as what finds its callbacks with [`current`](Self::current).
    ///
    /// ```
    /// use callbacks::Callbacks;
    /// use serde_json::json;
    ///
    /// async fn search(query: &str) -> Result<(), callbacks::EmitError> {
    ///     let callbacks = Callbacks::current().unwrap_or_default();
    ///     callbacks.custom_event("progress", || json!({ "searched": query })).await
    /// }
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(search("tea"))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`emit`](Self::emit).
    pub async fn custom_event(
        &self,
        name: &str,
        data: impl Payload<Value>,
    ) -> Result<(), EmitError> {
        if !self.wants::<CustomEvent<'_>>() {
            return Ok(());
        }
        let data = &*data.into_cow();
        self.emit(CustomEvent { name, data }).await
    }

    /// Asks the handlers of a decision event of any set, in the run that this value belongs to,
    /// otherwise outside any run: one after another, in the order of their registration, until one
    /// settles it. If nobody listens, the answer is [`go_on`](crate::Reply::go_on).
    ///
    /// Inside a callback nothing can be waited for: there the answer is a
    /// [`stop`](crate::Reply::stop). See [`Reply`](crate::Reply) for an example.
    ///
    /// # Errors
    ///
    /// [`EmitError::RunClosed`] if a handler listens and the run that this value belongs to is over. What goes
    /// wrong in a handler is no error, but a [`stop`](crate::Reply::stop).
    pub async fn ask<E: DecisionEvent>(&self, event: E) -> Result<E::Reply, EmitError> {
        Ok(self.asked(event).await?.reply())
    }

    /// Like [`ask`](Self::ask), and gives back the event as the answers left it: for replies that
    /// rewrite it.
    ///
    /// # Errors
    ///
    /// See [`ask`](Self::ask).
    pub async fn ask_to_rewrite<E: DecisionEvent>(
        &self,
        event: E,
    ) -> Result<(E::Reply, E::Owned), EmitError> {
        Ok(self.asked(event).await?.reply_and_event(&event))
    }

    async fn asked<E: DecisionEvent>(&self, event: E) -> Result<Replied<E>, EmitError> {
        let inner = self.inner.as_deref();
        match inner.filter(|inner| inner.registry.wants::<E>()) {
            Some(inner) => ask(&inner.place(), event).await,
            None => Ok(Replied::nobody()),
        }
    }

    /// The same handlers, tags and metadata, for code that waits with its thread.
    ///
    /// ```
    /// use callbacks::{Callbacks, LlmResult, Serialized};
    ///
    /// static MODEL: Serialized = Serialized::new("MyModel");
    ///
    /// let callbacks = Callbacks::new().blocking();
    /// let run = callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]).start()?;
    /// run.new_token("Because")?;
    /// run.end(|| LlmResult::from_text("Because"))?;
    /// # Ok::<(), callbacks::EmitError>(())
    /// ```
    pub fn blocking(&self) -> BlockingCallbacks {
        BlockingCallbacks::new(self.clone())
    }

    /// Starts a call of a text model. In a batch, each prompt is a run of its own.
    pub fn llm_start<'a, P>(
        &'a self,
        serialized: impl WhatRuns<'a>,
        prompts: P,
    ) -> Start<'a, Prompts<P, &'a ModelParams>>
    where
        P: Payload<[String]> + 'a,
    {
        let params = None;
        let opening = Prompts { prompts, params };
        Start::new(self, serialized.into(), RunKind::Llm, opening)
    }

    /// Starts a call of a chat model. In a batch, each conversation is a run of its own.
    ///
    /// `messages` is a conversation, or a batch of them.
    pub fn chat_model_start<'a, P>(
        &'a self,
        serialized: impl WhatRuns<'a>,
        messages: P,
    ) -> Start<'a, Messages<P, &'a ModelParams>>
    where
        P: Payload<[Vec<Message>]> + 'a,
    {
        let params = None;
        let opening = Messages { messages, params };
        Start::new(self, serialized.into(), RunKind::ChatModel, opening)
    }

    /// Starts a chain, or an agent with [`kind(RunKind::Agent)`](Start::kind).
    pub fn chain_start<'a, P>(
        &'a self,
        serialized: impl WhatRuns<'a>,
        inputs: P,
    ) -> Start<'a, Inputs<P>>
    where
        P: Payload<Value> + 'a,
    {
        let opening = Inputs { inputs };
        Start::new(self, serialized.into(), RunKind::Chain, opening)
    }

    /// Starts a call of a tool, with its input as text.
    pub fn tool_start<'a>(
        &'a self,
        serialized: impl WhatRuns<'a>,
        input: &'a str,
    ) -> Start<'a, ToolInput<'a, &'a Value>> {
        let opening = ToolInput {
            input,
            inputs: None,
            tool_call_id: None,
        };
        Start::new(self, serialized.into(), RunKind::Tool, opening)
    }

    /// Starts a search by a retriever.
    pub fn retriever_start<'a>(
        &'a self,
        serialized: impl WhatRuns<'a>,
        query: &'a str,
    ) -> Start<'a, Query<'a>> {
        Start::new(self, serialized.into(), RunKind::Retriever, Query { query })
    }
}

/// No lock is held while code of users runs, so a panic leaves nothing half done.
impl UnwindSafe for Callbacks {}
impl RefUnwindSafe for Callbacks {}

impl Site for Inner {
    fn place(&self) -> Place<'_> {
        let registry = &self.registry;
        match &self.origin {
            Origin::Inside(node) => Place {
                registry,
                ..node.place()
            },
            Origin::Outside => {
                let Outside { info, sequencer } = self.outside();
                Place {
                    registry,
                    info,
                    sequencer,
                    closed: None,
                }
            }
        }
    }
}

impl Inner {
    fn outside(&self) -> &Outside {
        self.outside.get_or_init(|| Outside {
            info: RunInfo::outside(self.registry.labels().clone()).into(),
            sequencer: Sequencer::new(),
        })
    }
}

impl fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let registry = self.registry();
        f.debug_struct("Callbacks")
            .field("handlers", &registry.handlers())
            .field("tags", &registry.labels().tags)
            .field("metadata", &registry.labels().metadata)
            .field("run", &self.run_info())
            .finish_non_exhaustive()
    }
}
