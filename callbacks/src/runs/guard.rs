//! Guards: the emitter's end of a run. However a guard goes, its run closes exactly once.

use std::any::TypeId;
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, OnceLock};
use std::thread;

use serde_json::Value;

use super::closing::{Wait, set_off};
use super::failing::Failing;
use super::kinds::{Chain, Kind, Llm, Retriever, Tool};
use super::tree::Node;
use crate::argument::Payload;
use crate::delivery::{emit, inside, lock};
use crate::events::owned::AnyEvent;
use crate::events::{AgentAction, AgentFinish, CustomEvent, Events, LlmNewToken, Retry, Text};
use crate::payload::{self, Chunk, ErrorKind, RetryState, RunError, RunKind};
use crate::{Callbacks, EmitError, Event, Interests, RunId};

/// A call of a model, from its start to its end. Made by
/// [`llm_start`](crate::Callbacks::llm_start) and
/// [`chat_model_start`](crate::Callbacks::chat_model_start).
pub type LlmRun = RunGuard<Llm>;
/// A chain or an agent running. Made by [`chain_start`](crate::Callbacks::chain_start).
pub type ChainRun = RunGuard<Chain>;
/// A call of a tool. Made by [`tool_start`](crate::Callbacks::tool_start).
pub type ToolRun = RunGuard<Tool>;
/// A search by a retriever. Made by [`retriever_start`](crate::Callbacks::retriever_start).
pub type RetrieverRun = RunGuard<Retriever>;

/// A run that is open, in the hands of who runs it: [`LlmRun`], [`ChainRun`], [`ToolRun`] or
/// [`RetrieverRun`].
///
/// What happens in the run is emitted through its methods. [`end`](Self::end),
/// [`error`](Self::error) and [`finish`](Self::finish) close it and consume the guard, so nothing
/// ends twice. A guard that is dropped open, because of a `?`, a `return`, a panic, or because the
/// future around it was cancelled, closes its run with an error of kind
/// [`Dropped`](ErrorKind::Dropped) (or [`Panicked`](ErrorKind::Panicked)), without waiting for the
/// handlers.
///
/// Every emission returns when the handlers it waits for are done.
///
/// ```
/// use callbacks::{Callbacks, LlmResult, RunError, Serialized};
///
/// static MODEL: Serialized = Serialized::new("MyModel");
///
/// async fn complete(prompt: &str, callbacks: &Callbacks) -> Result<String, Box<dyn std::error::Error>> {
///     let run = callbacks.llm_start(&MODEL, || vec![prompt.to_owned()]).await?;
///     let mut text = String::new();
///     for token in ["to", "ken"] {
///         run.new_token(token).await?;
///         text.push_str(token);
///     }
///     run.end(|| LlmResult::from_text(text.clone())).await?;
///     Ok(text)
/// }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap()
/// #     .block_on(complete("hi", &Callbacks::new())).unwrap();
/// ```
#[must_use = "a run whose guard is dropped closes with an error: keep the guard, and `end` it"]
pub struct RunGuard<K: Kind> {
    place: Place,
    /// Which of the built-in events somebody listens to: an unheard one looks no further.
    interests: Interests,
    callbacks: OnceLock<Callbacks>,
    /// Its run is closed, or closing, and the guard has nothing more to do with it.
    ended: bool,
    kind: PhantomData<fn() -> K>,
}

enum Place {
    Heard(Arc<Node>),
    /// Nobody listens. There is a node if somebody asked for the run's id or callbacks.
    Unheard {
        draft: Draft,
        node: OnceLock<Arc<Node>>,
    },
}

/// What is said about a run where it is started.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) origin: Callbacks,
    pub(super) id: Option<RunId>,
    pub(super) kind: RunKind,
    pub(super) name: Cow<'static, str>,
}

impl<K: Kind> RunGuard<K> {
    pub(super) fn heard(node: Arc<Node>) -> Self {
        let interests = node.registry.interests::<Events>();
        Self::new(Place::Heard(node), interests)
    }

    pub(super) fn unheard(draft: Draft) -> Self {
        let node = OnceLock::new();
        Self::new(Place::Unheard { draft, node }, Interests::NONE)
    }

    fn new(place: Place, interests: Interests) -> Self {
        Self {
            place,
            interests,
            callbacks: OnceLock::new(),
            ended: false,
            kind: PhantomData,
        }
    }

    /// The run's node, if it has one.
    pub(super) fn known(&self) -> Option<&Arc<Node>> {
        match &self.place {
            Place::Heard(node) => Some(node),
            Place::Unheard { node, .. } => node.get(),
        }
    }

    fn node(&self) -> &Arc<Node> {
        match &self.place {
            Place::Heard(node) => node,
            Place::Unheard { draft, node } => node.get_or_init(|| {
                let node = draft.open(K::UNHEARD, |_| {});
                let node = node.unwrap_or_else(|closed| closed);
                node.begin();
                node
            }),
        }
    }

    /// The run's id.
    #[must_use]
    pub fn id(&self) -> RunId {
        self.node().info.id()
    }

    /// What runs inside this run is started from: the callbacks that it inherits, with this run as
    /// the parent.
    pub fn callbacks(&self) -> &Callbacks {
        self.callbacks
            .get_or_init(|| Callbacks::inside(self.node()))
    }

    /// Runs `future` with this run's [`callbacks`](Self::callbacks) as
    /// [`Callbacks::current`](crate::Callbacks::current), for code that cannot be handed them.
    ///
    /// They are there wherever the future is polled, and in the methods that are called for events
    /// emitted inside it. They are not in tasks that it spawns: give such a task a scope of its own.
    ///
    /// ```
    /// use callbacks::{Callbacks, Serialized};
    /// use serde_json::json;
    ///
    /// async fn calculate(input: &str) -> Result<u32, callbacks::EmitError> {
    ///     static CALCULATOR: Serialized = Serialized::new("Calculator");
    ///     let callbacks = Callbacks::current().unwrap_or_default();
    ///     let tool = callbacks.tool_start(&CALCULATOR, input).await?;
    ///     tool.end(json!(2)).await?;
    ///     Ok(2)
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// static AGENT: Serialized = Serialized::new("Agent");
    /// let agent = Callbacks::new().chain_start(&AGENT, json!("1 + 1")).await?;
    /// let result = agent.scope(calculate("1 + 1")).await?;
    /// agent.end(json!(result)).await?;
    /// # Ok::<(), callbacks::EmitError>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn scope<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F, K> {
        self.callbacks().scope(future)
    }

    /// Emits an event of any set, in this run.
    ///
    /// # Errors
    ///
    /// [`EmitError::RunClosed`] if the run was closed together with a run around it.
    #[inline]
    pub fn emit<'a, E: Event + 'a>(
        &'a self,
        event: E,
    ) -> impl Future<Output = Result<(), EmitError>> + Send + 'a {
        let node = self.known().filter(|node| self.hears::<E>(node));
        emit(node.map(|node| &**node), event)
    }

    /// Whether a handler listens to events `E` of this run.
    #[must_use]
    #[inline]
    pub fn wants<E: Event>(&self) -> bool {
        match &self.place {
            Place::Heard(node) => self.hears::<E>(node),
            Place::Unheard { draft, .. } => draft.origin.wants::<E>(),
        }
    }

    #[inline]
    fn hears<E: Event>(&self, node: &Node) -> bool {
        if TypeId::of::<E::Set>() == TypeId::of::<Events>() {
            self.interests.contains(E::INDEX)
        } else {
            node.registry.wants::<E>()
        }
    }

    /// Emits a [`Text`].
    ///
    /// # Errors
    ///
    /// See [`emit`](Self::emit).
    #[inline]
    pub fn text<'a>(
        &'a self,
        text: &'a str,
    ) -> impl Future<Output = Result<(), EmitError>> + Send + 'a {
        self.emit(Text { text })
    }

    /// Emits a [`Retry`].
    ///
    /// # Errors
    ///
    /// See [`emit`](Self::emit).
    pub async fn retry(&self, retry_state: impl Payload<RetryState>) -> Result<(), EmitError> {
        if !self.wants::<Retry<'_>>() {
            return Ok(());
        }
        let retry_state = &*retry_state.into_cow();
        self.emit(Retry { retry_state }).await
    }

    /// Emits a [`CustomEvent`].
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

    /// Ends the run with what it made.
    ///
    /// What is still open inside the run is closed first. When the future is dropped midway, the
    /// handlers still get the event in full: the runtime goes on with it. If that shuts down too, a
    /// thread of this crate's does, and only what a handler awaits of the lost runtime, such as a
    /// timer, fails.
    ///
    /// # Errors
    ///
    /// [`EmitError::RunClosed`] if the run was closed already, together with a run around it.
    pub async fn end(self, output: impl Payload<K::Output>) -> Result<(), EmitError> {
        let terminal = self
            .known()
            .filter(|node| K::wants_end(&node.registry))
            .map(|node| K::end(output.into_cow().into_owned(), &node.family));
        self.close(terminal).await
    }

    /// Ends the run with an error.
    ///
    /// Takes any [`std::error::Error`], by value or by reference, or a [`RunError`]. What is still
    /// open inside the run is closed first.
    ///
    /// ```
    /// # use callbacks::{Callbacks, Serialized};
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// # let callbacks = Callbacks::new();
    /// let tool = callbacks.tool_start(&Serialized::new("Calculator"), "1 +").await?;
    /// if let Err(error) = "1 +".parse::<i64>() {
    ///     tool.error(&error).await?;
    /// }
    /// # Ok::<(), callbacks::EmitError>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`EmitError::RunClosed`] if the run was closed already, together with a run around it.
    pub fn error<E: Into<RunError>>(self, error: E) -> Failing<K, E> {
        Failing::new(self, error)
    }

    /// Ends the run as `result` says: `Ok` is an [`end`](Self::end), `Err` an
    /// [`error`](Self::error).
    ///
    /// ```
    /// # use callbacks::{Callbacks, LlmResult, Message, Serialized};
    /// # async fn answer() -> Result<LlmResult, Box<dyn std::error::Error + Send + Sync>> {
    /// #     Ok(LlmResult::from_text("Because."))
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// # let (callbacks, messages) = (Callbacks::new(), [Message::human("Why?")]);
    /// # static MODEL: Serialized = Serialized::new("MyModel");
    /// let run = callbacks.chat_model_start(&MODEL, &messages).await?;
    /// let answer = answer().await;
    /// // a boxed error is no `std::error::Error`; what is in the box is
    /// run.finish(answer.as_ref().map_err(|error| &**error)).await?;
    /// # Ok::<(), callbacks::EmitError>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`EmitError::RunClosed`] if the run was closed already, together with a run around it.
    pub async fn finish<P, E>(self, result: Result<P, E>) -> Result<(), EmitError>
    where
        P: Payload<K::Output>,
        E: Into<RunError> + Send,
    {
        match result {
            Ok(output) => self.end(output).await,
            Err(error) => self.error(error).await,
        }
    }

    pub(super) async fn close(mut self, terminal: Option<AnyEvent>) -> Result<(), EmitError> {
        self.ended = true;
        let Some(node) = self.known().cloned() else {
            return Ok(());
        };
        let Some(closing) = node.close(terminal)? else {
            return Ok(());
        };
        if inside() {
            set_off(closing, &node);
            return Ok(());
        }
        let Some(left) = Wait::new(closing, node).await else {
            return Ok(());
        };
        let left = std::mem::take(&mut *lock(&left));
        for turn in left.turns {
            turn.await;
        }
        left.error.map_or(Ok(()), Err)
    }
}

impl LlmRun {
    /// Emits an [`LlmNewToken`] of text alone.
    ///
    /// # Errors
    ///
    /// See [`emit`](Self::emit).
    #[inline]
    pub fn new_token<'a>(
        &'a self,
        token: &'a str,
    ) -> impl Future<Output = Result<(), EmitError>> + Send + 'a {
        let (chunk, choice) = (None, 0);
        self.emit(LlmNewToken {
            token,
            chunk,
            choice,
        })
    }

    /// Emits an [`LlmNewToken`] with all that came with it.
    ///
    /// # Errors
    ///
    /// See [`emit`](Self::emit).
    pub async fn new_chunk(&self, chunk: impl Payload<Chunk>) -> Result<(), EmitError> {
        if !self.wants::<LlmNewToken<'_>>() {
            return Ok(());
        }
        let chunk = &*chunk.into_cow();
        self.emit(LlmNewToken {
            token: &chunk.text,
            chunk: Some(chunk),
            choice: chunk.choice,
        })
        .await
    }
}

impl ChainRun {
    /// Emits an [`AgentAction`]: what the agent decided to do next.
    ///
    /// # Errors
    ///
    /// See [`emit`](Self::emit).
    pub async fn agent_action(
        &self,
        action: impl Payload<payload::AgentAction>,
    ) -> Result<(), EmitError> {
        if !self.wants::<AgentAction<'_>>() {
            return Ok(());
        }
        let action = &*action.into_cow();
        self.emit(AgentAction { action }).await
    }

    /// Emits an [`AgentFinish`]: the agent decided that it is done.
    ///
    /// # Errors
    ///
    /// See [`emit`](Self::emit).
    pub async fn agent_finish(
        &self,
        finish: impl Payload<payload::AgentFinish>,
    ) -> Result<(), EmitError> {
        if !self.wants::<AgentFinish<'_>>() {
            return Ok(());
        }
        let finish = &*finish.into_cow();
        self.emit(AgentFinish { finish }).await
    }
}

impl<K: Kind> Drop for RunGuard<K> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let Some(node) = self.known() else { return };
        let error = if thread::panicking() {
            RunError::new("the code that ran it panicked").with_kind(ErrorKind::Panicked)
        } else {
            RunError::new("the run was dropped before it ended").with_kind(ErrorKind::Dropped)
        };
        if let Ok(Some(closing)) = node.close(node.error(error)) {
            set_off(closing, node);
        }
    }
}

/// No lock is held while code of users runs, so a panic leaves nothing half done.
impl<K: Kind> UnwindSafe for RunGuard<K> {}
impl<K: Kind> RefUnwindSafe for RunGuard<K> {}

impl<K: Kind> fmt::Debug for RunGuard<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunGuard")
            .field("kind", &std::any::type_name::<K>())
            .field("run", &self.known().map(|node| &node.info))
            .finish_non_exhaustive()
    }
}
