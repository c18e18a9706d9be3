//! `Callbacks` for code that waits with its thread.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use serde_json::Value;

use crate::argument::{Payload, WhatRuns};
use crate::delivery::{block_on, wait_for};
use crate::events::CustomEvent;
use crate::payload::{Message, ModelParams};
use crate::runs::{Blocking, Inputs, Messages, Prompts, Query, Start, ToolInput};
use crate::{Callbacks, DecisionEvent, EmitError, Event, FlushReport, NoReply};

/// [`Callbacks`] for code that waits with its thread, with or without a runtime around it. Made by
/// [`Callbacks::blocking`], to which it dereferences.
///
/// The same builders and the same guards: `.start()?` instead of `.await?` on a start, and plain
/// calls after it.
///
/// ```
/// use callbacks::{BoxError, Callbacks, Serialized, callback_handler};
/// use serde_json::json;
///
/// struct Log;
///
/// #[callback_handler]
/// impl Log {
///     fn on_tool_start(&self, input: &str) {
///         println!("{input}");
///     }
///
///     async fn on_tool_end(&self) {
///         tokio::time::sleep(std::time::Duration::from_millis(1)).await;
///     }
/// }
///
/// fn calculate(input: &str, callbacks: &Callbacks) -> Result<u32, BoxError> {
///     static CALCULATOR: Serialized = Serialized::new("Calculator");
///     let run = callbacks.blocking().tool_start(&CALCULATOR, input).start()?;
///     run.text("adding")?;
///     run.end(json!(2))?;
///     Ok(2)
/// }
///
/// calculate("1 + 1", &Callbacks::new().with(Log))?;
/// # Ok::<(), BoxError>(())
/// ```
///
/// # Where the methods of handlers run
///
/// Plain methods are called on the thread that emits, whatever their options say; so a
/// [timeout](crate::Configured::timeout) does not bound them. Only where the handler is busy with
/// another event of the run tree, this one comes after it, on the thread of that. Async methods are
/// driven to their end:
///
/// * on a multi-thread runtime, in place.
/// * otherwise on a runtime of this crate's own, which is kept for the life of the process: what a
///   handler pools there, such as its connections, is there for the next event.
///
/// A worker of a multi-thread runtime hands its other tasks on before a plain method is called, and
/// before it waits: it does what tokio's [`block_in_place`](tokio::task::block_in_place) does, which
/// takes one of the threads for blocking code (512, by default) for as long.
///
/// On the thread of a current-thread runtime, that runtime stands still meanwhile. A handler must not
/// wait there for one of its tasks. Where a current-thread runtime is at hand, an async method without
/// a timeout of its own has one of 30 seconds; and what waits so long for something else that never
/// happens, such as room in the queue of a task that stands still, is
/// [`EmitError::WouldDeadlock`].
///
/// # Panics
///
/// What waits, or calls a plain method, panics where tokio's `block_in_place` does: in a `LocalSet` of a
/// multi-thread runtime, and on a thread that drives one runtime and has entered another. Do not block there.
#[derive(Clone, Default)]
#[must_use = "`Callbacks` does nothing by itself: start a run, or emit"]
pub struct BlockingCallbacks(Callbacks);

impl BlockingCallbacks {
    pub(crate) fn new(callbacks: Callbacks) -> Self {
        Self(callbacks)
    }

    /// Starts a call of a text model, as [`Callbacks::llm_start`] does.
    pub fn llm_start<'a, P>(
        &'a self,
        serialized: impl WhatRuns<'a>,
        prompts: P,
    ) -> Start<'a, Prompts<P, &'a ModelParams>, Blocking>
    where
        P: Payload<[String]> + 'a,
    {
        self.0.llm_start(serialized, prompts).blocking()
    }

    /// Starts a call of a chat model, as [`Callbacks::chat_model_start`] does.
    pub fn chat_model_start<'a, P>(
        &'a self,
        serialized: impl WhatRuns<'a>,
        messages: P,
    ) -> Start<'a, Messages<P, &'a ModelParams>, Blocking>
    where
        P: Payload<[Vec<Message>]> + 'a,
    {
        self.0.chat_model_start(serialized, messages).blocking()
    }

    /// Starts a chain or an agent, as [`Callbacks::chain_start`] does.
    pub fn chain_start<'a, P>(
        &'a self,
        serialized: impl WhatRuns<'a>,
        inputs: P,
    ) -> Start<'a, Inputs<P>, Blocking>
    where
        P: Payload<Value> + 'a,
    {
        self.0.chain_start(serialized, inputs).blocking()
    }

    /// Starts a call of a tool, as [`Callbacks::tool_start`] does.
    pub fn tool_start<'a>(
        &'a self,
        serialized: impl WhatRuns<'a>,
        input: &'a str,
    ) -> Start<'a, ToolInput<'a, &'a Value>, Blocking> {
        self.0.tool_start(serialized, input).blocking()
    }

    /// Starts a search by a retriever, as [`Callbacks::retriever_start`] does.
    pub fn retriever_start<'a>(
        &'a self,
        serialized: impl WhatRuns<'a>,
        query: &'a str,
    ) -> Start<'a, Query<'a>, Blocking> {
        self.0.retriever_start(serialized, query).blocking()
    }

    /// Emits an event of any set, as [`Callbacks::emit`] does.
    ///
    /// # Errors
    ///
    /// [`EmitError::Raised`] if a handler failed whose errors are raised, and [`EmitError::RunClosed`] if a handler
    /// listens and the run that this value belongs to is over.
    /// As for all that waits with a thread, there is [`EmitError::WouldDeadlock`], too.
    ///
    /// # Panics
    ///
    /// See [`BlockingCallbacks`](crate::BlockingCallbacks#panics).
    pub fn emit<E: Event<Reply: NoReply>>(&self, event: E) -> Result<(), EmitError> {
        if self.0.wants::<E>() {
            block_on(self.0.emit(event))
        } else {
            Ok(())
        }
    }

    /// Emits a [`CustomEvent`], as [`Callbacks::custom_event`] does.
    ///
    /// # Errors
    ///
    /// See [`emit`](Self::emit).
    ///
    /// # Panics
    ///
    /// See [`emit`](Self::emit).
    pub fn custom_event(&self, name: &str, data: impl Payload<Value>) -> Result<(), EmitError> {
        if self.0.wants::<CustomEvent<'_>>() {
            block_on(self.0.custom_event(name, data))
        } else {
            Ok(())
        }
    }

    /// Asks the handlers of a decision event, as [`Callbacks::ask`] does.
    ///
    /// # Errors
    ///
    /// [`EmitError::RunClosed`] if a handler listens and the run that this value belongs to is over. What goes
    /// wrong in a handler is no error, but a [`stop`](crate::Reply::stop).
    /// As for all that waits with a thread, there is [`EmitError::WouldDeadlock`], too.
    ///
    /// # Panics
    ///
    /// See [`BlockingCallbacks`](crate::BlockingCallbacks#panics).
    pub fn ask<E: DecisionEvent>(&self, event: E) -> Result<E::Reply, EmitError> {
        block_on(self.0.ask(event))
    }

    /// Like [`ask`](Self::ask), and gives back the event as the answers left it.
    ///
    /// # Errors
    ///
    /// See [`ask`](Self::ask).
    ///
    /// # Panics
    ///
    /// See [`ask`](Self::ask).
    pub fn ask_to_rewrite<E: DecisionEvent>(
        &self,
        event: E,
    ) -> Result<(E::Reply, E::Owned), EmitError> {
        block_on(self.0.ask_to_rewrite(event))
    }

    /// Waits until all events have arrived that are on their way, as [`Callbacks::flush`] does.
    ///
    /// # Panics
    ///
    /// See [`BlockingCallbacks`](crate::BlockingCallbacks#panics).
    pub fn flush(&self, timeout: Duration) -> FlushReport {
        wait_for(self.0.flush(timeout))
    }
}

impl Deref for BlockingCallbacks {
    type Target = Callbacks;

    fn deref(&self) -> &Callbacks {
        &self.0
    }
}

impl fmt::Debug for BlockingCallbacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BlockingCallbacks").field(&self.0).finish()
    }
}
