//! Blocking guards: the same runs, for code that waits with its thread.

use serde_json::Value;

use super::core::Core;
use super::flavour::Blocking;
use super::guard::RunGuard;
use super::kinds::{Chain, Kind, Llm};
use crate::argument::Payload;
use crate::delivery::block_on;
use crate::events::owned::AnyEvent;
use crate::events::{AgentAction, AgentFinish, CustomEvent, LlmError, LlmNewToken, Retry, Text};
use crate::payload::{self, Chunk, IntoRunError, LlmResult, RetryState};
use crate::{BlockingCallbacks, DecisionEvent, EmitError, Event, NoReply};

impl<K: Kind, D> RunGuard<K, Blocking, D> {
    /// What runs inside this run is started from: the callbacks that it inherits, with this run as
    /// the parent.
    pub fn callbacks(&self) -> &BlockingCallbacks {
        self.core.callbacks()
    }

    /// Calls `code` with this run's [`callbacks`](Self::callbacks) as
    /// [`Callbacks::current`](crate::Callbacks::current).
    pub fn call_in_scope<R>(&self, code: impl FnOnce() -> R) -> R {
        self.core.callbacks().call_in_scope(code)
    }

    /// Emits an event, if anybody listens to it.
    fn if_heard<'a, E: Event, W>(
        &'a self,
        emit: impl FnOnce(&'a Core<K>) -> W,
    ) -> Result<(), EmitError>
    where
        W: Future<Output = Result<(), EmitError>>,
    {
        if self.wants::<E>() {
            block_on(emit(&self.core))
        } else {
            Ok(())
        }
    }

    /// Emits an event of any set, in this run.
    ///
    /// # Errors
    ///
    /// [`EmitError::Raised`] if a handler failed whose errors are raised, and [`EmitError::RunClosed`] if a handler
    /// listens and the run was closed together with a run around it.
    /// As for all that waits with a thread, there is [`EmitError::WouldDeadlock`], too.
    ///
    /// # Panics
    ///
    /// See [`BlockingCallbacks`](crate::BlockingCallbacks#panics).
    pub fn emit<E: Event<Reply: NoReply>>(&self, event: E) -> Result<(), EmitError> {
        self.if_heard::<E, _>(|core| core.emit(event))
    }

    /// Asks the handlers of a decision event of any set, in this run, as the
    /// [async guard](RunGuard::ask) does.
    ///
    /// # Errors
    ///
    /// [`EmitError::RunClosed`] if a handler listens and the run was closed together with a run around it. What
    /// goes wrong in a handler is no error, but a [`stop`](crate::Reply::stop).
    /// As for all that waits with a thread, there is [`EmitError::WouldDeadlock`], too.
    ///
    /// # Panics
    ///
    /// See [`BlockingCallbacks`](crate::BlockingCallbacks#panics).
    pub fn ask<E: DecisionEvent>(&self, event: E) -> Result<E::Reply, EmitError> {
        Ok(block_on(self.core.ask(event))?.reply())
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
        Ok(block_on(self.core.ask(event))?.reply_and_event(&event))
    }

    /// Emits a [`Text`].
    ///
    /// # Errors
    ///
    /// See [`emit`](Self::emit).
    ///
    /// # Panics
    ///
    /// See [`emit`](Self::emit).
    pub fn text(&self, text: &str) -> Result<(), EmitError> {
        self.emit(Text { text })
    }

    /// Emits a [`Retry`].
    ///
    /// # Errors
    ///
    /// See [`emit`](Self::emit).
    ///
    /// # Panics
    ///
    /// See [`emit`](Self::emit).
    pub fn retry(&self, retry_state: impl Payload<RetryState>) -> Result<(), EmitError> {
        self.if_heard::<Retry<'_>, _>(|core| core.retry(retry_state))
    }

    /// Emits a [`CustomEvent`].
    ///
    /// # Errors
    ///
    /// See [`emit`](Self::emit).
    ///
    /// # Panics
    ///
    /// See [`emit`](Self::emit).
    pub fn custom_event(&self, name: &str, data: impl Payload<Value>) -> Result<(), EmitError> {
        self.if_heard::<CustomEvent<'_>, _>(|core| core.custom_event(name, data))
    }

    /// Ends the run with what it made. What is still open inside the run is closed first.
    ///
    /// # Errors
    ///
    /// [`EmitError::Raised`] if a handler failed whose errors are raised, once all have seen the end; and
    /// [`EmitError::RunClosed`] if a handler listens and the run was closed already, together with a run around it.
    /// As for all that waits with a thread, there is [`EmitError::WouldDeadlock`], too.
    ///
    /// # Panics
    ///
    /// See [`BlockingCallbacks`](crate::BlockingCallbacks#panics).
    pub fn end(self, output: impl Payload<K::Output>) -> Result<(), EmitError> {
        let terminal = self.core.ending(|| output.into_cow().into_owned());
        self.close(terminal)
    }

    /// Ends the run with an [error](IntoRunError), by value or by reference. What is still open inside
    /// the run is closed first.
    ///
    /// # Errors
    ///
    /// [`EmitError::Raised`] if a handler failed whose errors are raised, once all have seen the end; and
    /// [`EmitError::RunClosed`] if a handler listens and the run was closed already, together with a run around it.
    /// As for all that waits with a thread, there is [`EmitError::WouldDeadlock`], too.
    ///
    /// # Panics
    ///
    /// See [`BlockingCallbacks`](crate::BlockingCallbacks#panics).
    pub fn error<Via>(self, error: impl IntoRunError<Via>) -> Result<(), EmitError> {
        let terminal = self.core.failing(|| error.into_run_error(), None);
        self.close(terminal)
    }

    /// Ends the run as `result` says: `Ok` is an [`end`](Self::end), `Err` an
    /// [`error`](Self::error).
    ///
    /// # Errors
    ///
    /// [`EmitError::Raised`] if a handler failed whose errors are raised, once all have seen the end; and
    /// [`EmitError::RunClosed`] if a handler listens and the run was closed already, together with a run around it.
    /// As for all that waits with a thread, there is [`EmitError::WouldDeadlock`], too.
    ///
    /// # Panics
    ///
    /// See [`BlockingCallbacks`](crate::BlockingCallbacks#panics).
    pub fn finish<P, E, Via>(self, result: Result<P, E>) -> Result<(), EmitError>
    where
        P: Payload<K::Output>,
        E: IntoRunError<Via>,
    {
        match result {
            Ok(output) => self.end(output),
            Err(error) => self.error(error),
        }
    }

    fn close(mut self, terminal: Option<AnyEvent>) -> Result<(), EmitError> {
        // A run that nobody can have heard of is not waited for.
        if self.core.known().is_none() {
            return Ok(());
        }
        block_on(self.core.close(terminal))
    }
}

impl<D> RunGuard<Llm, Blocking, D> {
    /// Emits an [`LlmNewToken`] of text alone.
    ///
    /// # Errors
    ///
    /// See [`emit`](Self::emit).
    ///
    /// # Panics
    ///
    /// See [`emit`](Self::emit).
    pub fn new_token(&self, token: &str) -> Result<(), EmitError> {
        self.emit(LlmNewToken::of_text(token))
    }

    /// Emits an [`LlmNewToken`] with all that came with it.
    ///
    /// # Errors
    ///
    /// See [`emit`](Self::emit).
    ///
    /// # Panics
    ///
    /// See [`emit`](Self::emit).
    pub fn new_chunk(&self, chunk: impl Payload<Chunk>) -> Result<(), EmitError> {
        self.if_heard::<LlmNewToken<'_>, _>(|core| core.new_chunk(chunk))
    }

    /// Ends the run with an error, and with what had arrived of the answer.
    ///
    /// # Errors
    ///
    /// [`EmitError::Raised`] if a handler failed whose errors are raised, once all have seen the end; and
    /// [`EmitError::RunClosed`] if a handler listens and the run was closed already, together with a run around it.
    /// As for all that waits with a thread, there is [`EmitError::WouldDeadlock`], too.
    ///
    /// # Panics
    ///
    /// See [`BlockingCallbacks`](crate::BlockingCallbacks#panics).
    pub fn error_with_partial<Via>(
        self,
        error: impl IntoRunError<Via>,
        response: impl Payload<LlmResult>,
    ) -> Result<(), EmitError> {
        let heard = self.wants::<LlmError<'_>>();
        let partial = heard.then(|| response.into_cow().into_owned());
        let terminal = self.core.failing(|| error.into_run_error(), partial);
        self.close(terminal)
    }
}

impl<D> RunGuard<Chain, Blocking, D> {
    /// Emits an [`AgentAction`]: what the agent decided to do next.
    ///
    /// # Errors
    ///
    /// See [`emit`](Self::emit).
    ///
    /// # Panics
    ///
    /// See [`emit`](Self::emit).
    pub fn agent_action(
        &self,
        action: impl Payload<payload::AgentAction>,
    ) -> Result<(), EmitError> {
        self.if_heard::<AgentAction<'_>, _>(|core| core.agent_action(action))
    }

    /// Emits an [`AgentFinish`]: the agent decided that it is done.
    ///
    /// # Errors
    ///
    /// See [`emit`](Self::emit).
    ///
    /// # Panics
    ///
    /// See [`emit`](Self::emit).
    pub fn agent_finish(
        &self,
        finish: impl Payload<payload::AgentFinish>,
    ) -> Result<(), EmitError> {
        self.if_heard::<AgentFinish<'_>, _>(|core| core.agent_finish(finish))
    }
}
