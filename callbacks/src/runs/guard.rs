//! Guards: the emitter's end of a run.

use std::fmt;
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};

use serde_json::Value;

use super::core::Core;
use super::failing::Failing;
use super::flavour::{Async, Flavour};
use super::kinds::{Chain, Kind, Llm, Retriever, Tool};
use crate::argument::Payload;
use crate::events::{LlmError, LlmNewToken, Text};
use crate::payload::{self, Chunk, IntoRunError, LlmResult, RetryState};
use crate::{Callbacks, DecisionEvent, EmitError, Event, NoReply, RunId, RunInfo};

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
/// [`Dropped`](crate::ErrorKind::Dropped) (or [`Panicked`](crate::ErrorKind::Panicked)), without
/// waiting for the handlers.
///
/// Every emission returns when the handlers it waits for are done. `F` says how it is waited for: the
/// methods of an [`Async`] guard are awaited, those of a [`Blocking`](crate::Blocking) one are plain
/// calls. `D` is what the handlers decided about a run that was [asked](crate::Start::ask) about.
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
pub struct RunGuard<K: Kind, F: Flavour = Async, D = ()> {
    pub(super) core: Core<K>,
    pub(super) decided: D,
    flavour: PhantomData<F>,
}

impl<K: Kind, F: Flavour, D> RunGuard<K, F, D> {
    #[inline]
    pub(super) fn new(mut core: Core<K>, decided: D) -> Self {
        core.mark_ready();
        Self {
            core,
            decided,
            flavour: PhantomData,
        }
    }

    /// The run's id.
    #[must_use]
    pub fn id(&self) -> RunId {
        self.core.node().info.id()
    }

    /// What handlers are told about the run.
    #[must_use]
    pub fn info(&self) -> &RunInfo {
        &self.core.node().info
    }

    /// Whether a handler listens to events `E` of this run.
    #[must_use]
    #[inline]
    pub fn wants<E: Event>(&self) -> bool {
        self.core.wants::<E>()
    }

    /// Runs `future` with this run's callbacks as
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
    pub fn scope<G: Future>(&self, future: G) -> impl Future<Output = G::Output> + use<G, K, F, D> {
        self.core.callbacks().scope(future)
    }

    /// The guard without what the handlers decided, for a function that takes any.
    pub fn into_run(self) -> RunGuard<K, F> {
        RunGuard::new(self.core, ())
    }
}

impl<K: Kind, D> RunGuard<K, Async, D> {
    /// What runs inside this run is started from: the callbacks that it inherits, with this run as
    /// the parent.
    pub fn callbacks(&self) -> &Callbacks {
        self.core.callbacks()
    }

    /// Emits an event of any set, in this run.
    ///
    /// # Errors
    ///
    /// [`EmitError::Raised`] if a handler failed whose errors are raised, and [`EmitError::RunClosed`] if a handler
    /// listens and the run was closed together with a run around it.
    #[inline]
    pub fn emit<'a, E: Event<Reply: NoReply> + 'a>(
        &'a self,
        event: E,
    ) -> impl Future<Output = Result<(), EmitError>> + Send + 'a {
        self.core.emit(event)
    }

    /// Asks the handlers of a decision event of any set, in this run: one after another, in the order of
    /// their registration, until one settles it. If nobody listens, the answer is
    /// [`go_on`](crate::Reply::go_on).
    ///
    /// Inside a callback nothing can be waited for: there the answer is a
    /// [`stop`](crate::Reply::stop).
    ///
    /// # Errors
    ///
    /// [`EmitError::RunClosed`] if a handler listens and the run was closed together with a run around it. What
    /// goes wrong in a handler is no error, but a [`stop`](crate::Reply::stop).
    pub async fn ask<E: DecisionEvent>(&self, event: E) -> Result<E::Reply, EmitError> {
        Ok(self.core.ask(event).await?.reply())
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
        Ok(self.core.ask(event).await?.reply_and_event(&event))
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

    /// Emits a [`Retry`](crate::events::Retry).
    ///
    /// # Errors
    ///
    /// See [`emit`](Self::emit).
    pub async fn retry(&self, retry_state: impl Payload<RetryState>) -> Result<(), EmitError> {
        self.core.retry(retry_state).await
    }

    /// Emits a [`CustomEvent`](crate::events::CustomEvent).
    ///
    /// # Errors
    ///
    /// See [`emit`](Self::emit).
    pub async fn custom_event(
        &self,
        name: &str,
        data: impl Payload<Value>,
    ) -> Result<(), EmitError> {
        self.core.custom_event(name, data).await
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
    /// [`EmitError::Raised`] if a handler failed whose errors are raised, once all have seen the end; and
    /// [`EmitError::RunClosed`] if a handler listens and the run was closed already, together with a run around it.
    #[inline]
    pub fn end(
        self,
        output: impl Payload<K::Output>,
    ) -> impl Future<Output = Result<(), EmitError>> + Send {
        self.core.end(output)
    }

    /// Ends the run with an error.
    ///
    /// Takes an [error of any kind](IntoRunError), by value or by reference. What is still open inside
    /// the run is closed first.
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
    /// [`EmitError::Raised`] if a handler failed whose errors are raised, once all have seen the end; and
    /// [`EmitError::RunClosed`] if a handler listens and the run was closed already, together with a run around it.
    pub fn error<E: IntoRunError<Via>, Via>(self, error: E) -> Failing<K, E> {
        Failing::new(self.core, error)
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
    /// run.finish(answer.as_ref()).await?;
    /// # Ok::<(), callbacks::EmitError>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`EmitError::Raised`] if a handler failed whose errors are raised, once all have seen the end; and
    /// [`EmitError::RunClosed`] if a handler listens and the run was closed already, together with a run around it.
    pub fn finish<P, E, Via>(
        self,
        result: Result<P, E>,
    ) -> impl Future<Output = Result<(), EmitError>> + Send
    where
        P: Payload<K::Output>,
        E: IntoRunError<Via>,
    {
        let mut core = self.core;
        // An error need not be `Send`: it is not kept while the handlers are waited for.
        let result = result.map_err(|error| core.failing(|| error.into_run_error(), None));
        async move {
            match result {
                Ok(output) => core.end(output).await,
                Err(terminal) => core.close(terminal).await,
            }
        }
    }
}

impl<D> RunGuard<Llm, Async, D> {
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
        self.emit(LlmNewToken::of_text(token))
    }

    /// Emits an [`LlmNewToken`] with all that came with it.
    ///
    /// # Errors
    ///
    /// See [`emit`](Self::emit).
    pub async fn new_chunk(&self, chunk: impl Payload<Chunk>) -> Result<(), EmitError> {
        self.core.new_chunk(chunk).await
    }
}

impl<F: Flavour, D> RunGuard<Llm, F, D> {
    /// Ends the run as it ends where its guard is dropped, with what had arrived of the answer: for the
    /// `Drop` of whoever gathers that. A [`stream`](RunGuard::stream) does so by itself.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use callbacks::events::LlmError;
    /// use callbacks::{Callbacks, LlmResult, LlmRun, on};
    ///
    /// struct Answer {
    ///     run: Option<LlmRun>,
    ///     text: String,
    /// }
    ///
    /// impl Drop for Answer {
    ///     fn drop(&mut self) {
    ///         if let Some(run) = self.run.take() {
    ///             run.drop_with(|| LlmResult::from_text(&*self.text));
    ///         }
    ///     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let heard = on(|event: &LlmError<'_>| assert_eq!(event.response.unwrap().text(), "Be"));
    /// let callbacks = Callbacks::new().with(heard);
    /// let run = callbacks.llm_start(None, || vec!["Why?".to_owned()]).await?;
    /// drop(Answer { run: Some(run), text: "Be".to_owned() });
    /// let report = callbacks.flush(Duration::from_secs(10)).await;
    /// assert_eq!(report.handlers[0].failed, 0);
    /// # Ok::<(), callbacks::EmitError>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn drop_with(mut self, partial: impl Payload<LlmResult>) {
        let heard = self.core.wants::<LlmError<'_>>();
        let partial = heard.then(|| partial.into_cow().into_owned());
        self.core.abandon(partial);
    }
}

impl<D> RunGuard<Chain, Async, D> {
    /// Emits an [`AgentAction`](crate::events::AgentAction): what the agent decided to do next.
    ///
    /// # Errors
    ///
    /// See [`emit`](Self::emit).
    pub async fn agent_action(
        &self,
        action: impl Payload<payload::AgentAction>,
    ) -> Result<(), EmitError> {
        self.core.agent_action(action).await
    }

    /// Emits an [`AgentFinish`](crate::events::AgentFinish): the agent decided that it is done.
    ///
    /// # Errors
    ///
    /// See [`emit`](Self::emit).
    pub async fn agent_finish(
        &self,
        finish: impl Payload<payload::AgentFinish>,
    ) -> Result<(), EmitError> {
        self.core.agent_finish(finish).await
    }
}

/// No lock is held while code of users runs, so a panic leaves nothing half done.
impl<K: Kind, F: Flavour, D: UnwindSafe> UnwindSafe for RunGuard<K, F, D> {}
impl<K: Kind, F: Flavour, D: RefUnwindSafe> RefUnwindSafe for RunGuard<K, F, D> {}

impl<K: Kind, F: Flavour, D> fmt::Debug for RunGuard<K, F, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.core.fmt(f)
    }
}
