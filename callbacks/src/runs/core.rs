//! What a guard holds, whatever its flavour. However it goes, its run closes exactly once.

use std::any::TypeId;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};
use std::thread;

use serde_json::Value;
use tokio::time::Instant;

use super::closing::{close, close_unwaited};
use super::draft::Draft;
use super::kinds::{Kind, Output};
use super::tree::Node;
use crate::argument::Payload;
use crate::delivery::{Perhaps, Replied, Site, ask, emit, quietly};
use crate::events::owned::AnyEvent;
use crate::events::{
    AgentAction, AgentFinish, CustomEvent, Events, LlmEnd, LlmError, LlmNewToken, Retry,
};
use crate::payload::{self, Chunk, ErrorKind, LlmResult, RetryState, RunError};
use crate::{BlockingCallbacks, Callbacks, DecisionEvent, EmitError, Event, Interests};

/// A run that is open.
pub(super) struct Core<K: Kind> {
    place: Audience,
    /// Which of the built-in events somebody listens to: an unheard one looks no further.
    interests: Interests,
    callbacks: OnceLock<BlockingCallbacks>,
    /// When a run of a model was ready to go on, if somebody hears how long it takes.
    ready: Option<Instant>,
    /// Its run is closed, or closing, and the guard has nothing more to do with it.
    ended: bool,
    blocking: bool,
    kind: PhantomData<fn() -> K>,
}

enum Audience {
    Heard(Arc<Node>),
    /// Nobody listens. There is a node if somebody asked for the run's id or callbacks.
    Unheard {
        draft: Draft,
        node: OnceLock<Arc<Node>>,
    },
}

impl<K: Kind> Core<K> {
    pub(super) fn heard(node: Arc<Node>, blocking: bool) -> Self {
        let interests = node.registry.interests::<Events>();
        Self::new(Audience::Heard(node), interests, blocking)
    }

    #[inline]
    pub(super) fn unheard(draft: Draft) -> Self {
        let (node, blocking) = (OnceLock::new(), draft.blocking);
        Self::new(Audience::Unheard { draft, node }, Interests::NONE, blocking)
    }

    #[inline]
    fn new(place: Audience, interests: Interests, blocking: bool) -> Self {
        Self {
            place,
            interests,
            callbacks: OnceLock::new(),
            ready: None,
            ended: false,
            blocking,
            kind: PhantomData,
        }
    }

    /// Says that its start is done.
    pub(super) fn mark_ready(&mut self) {
        let answer =
            const { Interests::of(&[LlmEnd::INDEX, LlmError::INDEX]).intersection(K::EVENTS) };
        if self.interests.intersects(answer) {
            self.ready.get_or_insert_with(Instant::now);
        }
    }

    /// Since when the model has been at work, if somebody hears how long it takes. The clock is
    /// tokio's, so that paused time in tests holds for it.
    pub(super) fn ready_since(&self) -> Option<Instant> {
        self.ready
    }

    /// The run's node, if it has one.
    pub(super) fn known(&self) -> Option<&Arc<Node>> {
        match &self.place {
            Audience::Heard(node) => Some(node),
            Audience::Unheard { node, .. } => node.get(),
        }
    }

    pub(super) fn node(&self) -> &Arc<Node> {
        match &self.place {
            Audience::Heard(node) => node,
            Audience::Unheard { draft, node } => node.get_or_init(|| {
                let node = draft.open(draft.plan(), K::UNHEARD, |_| {});
                let node = node.unwrap_or_else(|closed| closed);
                node.begin();
                node
            }),
        }
    }

    pub(super) fn callbacks(&self) -> &BlockingCallbacks {
        self.callbacks
            .get_or_init(|| Callbacks::in_run(self.node()).blocking())
    }

    #[inline]
    pub(super) fn wants<E: Event>(&self) -> bool {
        match &self.place {
            Audience::Heard(_) => self.hearing::<E>().is_some(),
            Audience::Unheard { draft, .. } => draft.origin.wants::<E>(),
        }
    }

    /// Where an event is emitted, if somebody listens to it there. For the built-in ones, that is known
    /// without a look at the node.
    #[inline]
    fn hearing<E: Event>(&self) -> Option<&Node> {
        let built_in = TypeId::of::<E::Set>() == TypeId::of::<Events>();
        if built_in && !self.interests.contains(E::INDEX) {
            return None;
        }
        let node = self.known()?;
        (built_in || node.registry.wants::<E>()).then_some(node)
    }

    #[inline]
    pub(super) fn emit<'a, E: Event + 'a>(
        &'a self,
        event: E,
    ) -> impl Future<Output = Result<(), EmitError>> + Send + 'a {
        emit(self.hearing::<E>(), event)
    }

    pub(super) async fn ask<E: DecisionEvent>(&self, event: E) -> Result<Replied<E>, EmitError> {
        if self.wants::<E>() {
            ask(&self.node().place(), event).await
        } else {
            Ok(Replied::nobody())
        }
    }

    pub(super) async fn retry(
        &self,
        retry_state: impl Payload<RetryState>,
    ) -> Result<(), EmitError> {
        if !self.wants::<Retry<'_>>() {
            return Ok(());
        }
        let retry_state = &*retry_state.into_cow();
        self.emit(Retry { retry_state }).await
    }

    pub(super) async fn custom_event(
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

    pub(super) async fn new_chunk(&self, chunk: impl Payload<Chunk>) -> Result<(), EmitError> {
        if !self.wants::<LlmNewToken<'_>>() {
            return Ok(());
        }
        let chunk = &*chunk.into_cow();
        self.emit(LlmNewToken::of_chunk(chunk)).await
    }

    pub(super) async fn agent_action(
        &self,
        action: impl Payload<payload::AgentAction>,
    ) -> Result<(), EmitError> {
        if !self.wants::<AgentAction<'_>>() {
            return Ok(());
        }
        let action = &*action.into_cow();
        self.emit(AgentAction { action }).await
    }

    pub(super) async fn agent_finish(
        &self,
        finish: impl Payload<payload::AgentFinish>,
    ) -> Result<(), EmitError> {
        if !self.wants::<AgentFinish<'_>>() {
            return Ok(());
        }
        let finish = &*finish.into_cow();
        self.emit(AgentFinish { finish }).await
    }

    /// Ends the run with what it made. Where nobody can have heard of it, there is nothing to do.
    #[inline]
    pub(super) fn end(
        mut self,
        output: impl Payload<K::Output>,
    ) -> impl Future<Output = Result<(), EmitError>> + Send {
        if self.known().is_none() {
            self.ended = true;
            return Perhaps::new(None);
        }
        Perhaps::new(Some(async move {
            let terminal = self.ending(|| output.into_cow().into_owned());
            self.close(terminal).await.map_err(Box::new)
        }))
    }

    /// The event of an end, if anybody listens to it.
    pub(super) fn ending(&self, output: impl FnOnce() -> Output<K>) -> Option<AnyEvent> {
        let node = self.known()?;
        let wanted = K::wants_end(&node.registry);
        wanted.then(|| K::end(output(), &node.family))
    }

    /// The event of an error, if anybody listens to it, with what had arrived of a model's answer.
    pub(super) fn failing(
        &self,
        error: impl FnOnce() -> RunError,
        partial: Option<LlmResult>,
    ) -> Option<AnyEvent> {
        let node = self.known()?;
        let wanted = node.family.wants_error(&node.registry);
        wanted.then(|| node.family.error(error(), partial))
    }

    /// Closes the run with this event.
    pub(super) async fn close(&mut self, terminal: Option<AnyEvent>) -> Result<(), EmitError> {
        self.ended = true;
        let Some(node) = self.known().cloned() else {
            return Ok(());
        };
        close(node, terminal).await
    }

    /// Closes the run with an error for which there is one to be given out already: what handlers raise here
    /// is the lesser evil.
    pub(super) async fn fail(&mut self, error: RunError, partial: Option<LlmResult>) {
        let terminal = self.failing(|| error, partial);
        let raised = self.close(terminal).await;
        quietly(|| drop(raised));
    }

    /// Closes the run without waiting for the handlers, unless it is closed.
    pub(super) fn abandon(&mut self, partial: Option<LlmResult>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let Some(node) = self.known() else { return };
        let error = if thread::panicking() {
            RunError::new("the code that ran it panicked").with_kind(ErrorKind::Panicked)
        } else {
            RunError::new("the run was dropped before it ended").with_kind(ErrorKind::Dropped)
        };
        let terminal = self.failing(|| error, partial);
        close_unwaited(node, terminal, self.blocking);
    }
}

impl<K: Kind> fmt::Debug for Core<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunGuard")
            .field("kind", &std::any::type_name::<K>())
            .field("run", &self.known().map(|node| &node.info))
            .finish_non_exhaustive()
    }
}

impl<K: Kind> Drop for Core<K> {
    fn drop(&mut self) {
        self.abandon(None);
    }
}
