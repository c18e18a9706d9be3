//! The kinds of guards, and the terminal events that each closes with.

use std::fmt::Debug;

use serde_json::Value;

use crate::delivery::Registry;
use crate::events::owned::{self, AnyEvent};
use crate::events::{
    AgentAction, AgentFinish, ChainEnd, ChainError, ChainStart, ChatModelStart, CustomEvent,
    LlmEnd, LlmError, LlmNewToken, LlmRequest, LlmStart, RetrieverEnd, RetrieverError,
    RetrieverStart, Retry, Text, ToolEnd, ToolError, ToolRequest, ToolStart,
};
use crate::payload::{Document, LlmResult, ModelParams, RunError};
use crate::{Event, Interests};

/// What a [`RunGuard`](super::RunGuard) guards: [`Llm`], [`Chain`], [`Tool`] or [`Retriever`].
///
/// Its `Output` is what such a run ends with: [`LlmResult`], [`Value`], [`Value`] and
/// `[`[`Document`]`]`.
pub trait Kind: sealed::Sealed + Debug + Send + Sync + 'static {}

impl<K: sealed::Sealed + Debug + Send + Sync + 'static> Kind for K {}

/// A call of a model, text or chat.
#[derive(Debug)]
pub enum Llm {}
/// A chain, or an agent.
#[derive(Debug)]
pub enum Chain {}
/// A call of a tool.
#[derive(Debug)]
pub enum Tool {}
/// A search by a retriever.
#[derive(Debug)]
pub enum Retriever {}

/// What a run of this kind ends with, as a value of its own.
pub(super) type Output<K> = <<K as sealed::Sealed>::Output as ToOwned>::Owned;

/// What a node remembers from its start for its terminal event.
#[derive(Debug)]
pub enum Family {
    Model { params: Option<Box<ModelParams>> },
    Chain,
    Tool { tool_call_id: Option<String> },
    Retriever,
}

impl Family {
    /// That of the run that begins with this event, if one does.
    pub(super) fn of_start(event: &AnyEvent) -> Option<Self> {
        let model = |params: &Option<ModelParams>| {
            let params = params.clone().map(Box::new);
            Some(Self::Model { params })
        };
        match event {
            AnyEvent::LlmStart(start) => model(&start.params),
            AnyEvent::ChatModelStart(start) => model(&start.params),
            AnyEvent::ChainStart(_) => Some(Self::Chain),
            AnyEvent::ToolStart(start) => Some(Self::Tool {
                tool_call_id: start.tool_call_id.clone(),
            }),
            AnyEvent::RetrieverStart(_) => Some(Self::Retriever),
            _ => None,
        }
    }

    pub(crate) fn wants_error(&self, registry: &Registry) -> bool {
        match self {
            Self::Model { .. } => registry.wants::<LlmError<'_>>(),
            Self::Chain => registry.wants::<ChainError<'_>>(),
            Self::Tool { .. } => registry.wants::<ToolError<'_>>(),
            Self::Retriever => registry.wants::<RetrieverError<'_>>(),
        }
    }

    /// The error event, with what had arrived of a model's answer.
    pub(crate) fn error(&self, error: RunError, response: Option<LlmResult>) -> AnyEvent {
        match self {
            Self::Model { params } => AnyEvent::LlmError(owned::LlmError {
                error,
                response,
                params: params.as_deref().cloned(),
            }),
            Self::Chain => AnyEvent::ChainError(owned::ChainError { error }),
            Self::Tool { tool_call_id } => AnyEvent::ToolError(owned::ToolError {
                error,
                tool_call_id: tool_call_id.clone(),
            }),
            Self::Retriever => AnyEvent::RetrieverError(owned::RetrieverError { error }),
        }
    }
}

/// What any run emits.
const ANY_RUN: Interests = Interests::of(&[Text::INDEX, Retry::INDEX, CustomEvent::INDEX]);

pub(crate) mod sealed {
    use super::{AnyEvent, Family, Interests, Registry};

    pub trait Sealed: Sized {
        /// What a run of this kind ends with.
        type Output: ?Sized + ToOwned<Owned: Clone + Send + Unpin>;

        /// All that a run of this kind emits and asks. Where nobody listens to any of it, the run is unheard.
        const EVENTS: Interests;

        /// What a run that nobody listens to remembers.
        const UNHEARD: Family;

        fn wants_end(registry: &Registry) -> bool;

        fn end(output: <Self::Output as ToOwned>::Owned, family: &Family) -> AnyEvent;
    }
}

impl sealed::Sealed for Llm {
    type Output = LlmResult;

    const EVENTS: Interests = ANY_RUN.union(Interests::of(&[
        LlmRequest::INDEX,
        LlmStart::INDEX,
        ChatModelStart::INDEX,
        LlmNewToken::INDEX,
        LlmEnd::INDEX,
        LlmError::INDEX,
    ]));
    const UNHEARD: Family = Family::Model { params: None };

    fn wants_end(registry: &Registry) -> bool {
        registry.wants::<LlmEnd<'_>>()
    }

    fn end(response: LlmResult, family: &Family) -> AnyEvent {
        let params = match family {
            Family::Model { params } => params.as_deref().cloned(),
            _ => None,
        };
        AnyEvent::LlmEnd(owned::LlmEnd { response, params })
    }
}

impl sealed::Sealed for Chain {
    type Output = Value;

    const EVENTS: Interests = ANY_RUN.union(Interests::of(&[
        ChainStart::INDEX,
        ChainEnd::INDEX,
        ChainError::INDEX,
        AgentAction::INDEX,
        AgentFinish::INDEX,
    ]));
    const UNHEARD: Family = Family::Chain;

    fn wants_end(registry: &Registry) -> bool {
        registry.wants::<ChainEnd<'_>>()
    }

    fn end(outputs: Value, _: &Family) -> AnyEvent {
        AnyEvent::ChainEnd(owned::ChainEnd { outputs })
    }
}

impl sealed::Sealed for Tool {
    type Output = Value;

    const EVENTS: Interests = ANY_RUN.union(Interests::of(&[
        ToolRequest::INDEX,
        ToolStart::INDEX,
        ToolEnd::INDEX,
        ToolError::INDEX,
    ]));
    const UNHEARD: Family = Family::Tool { tool_call_id: None };

    fn wants_end(registry: &Registry) -> bool {
        registry.wants::<ToolEnd<'_>>()
    }

    fn end(output: Value, family: &Family) -> AnyEvent {
        let tool_call_id = match family {
            Family::Tool { tool_call_id } => tool_call_id.clone(),
            _ => None,
        };
        AnyEvent::ToolEnd(owned::ToolEnd {
            output,
            tool_call_id,
        })
    }
}

impl sealed::Sealed for Retriever {
    type Output = [Document];

    const EVENTS: Interests = ANY_RUN.union(Interests::of(&[
        RetrieverStart::INDEX,
        RetrieverEnd::INDEX,
        RetrieverError::INDEX,
    ]));
    const UNHEARD: Family = Family::Retriever;

    fn wants_end(registry: &Registry) -> bool {
        registry.wants::<RetrieverEnd<'_>>()
    }

    fn end(documents: Vec<Document>, _: &Family) -> AnyEvent {
        AnyEvent::RetrieverEnd(owned::RetrieverEnd { documents })
    }
}
