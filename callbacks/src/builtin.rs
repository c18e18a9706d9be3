//! The built-in events.

use crate::payload::Chunk;
use crate::{Event, Interests};

/// What happens in LLM and agent software: models, chains, agents, tools and retrievers running.
///
/// Each struct is an event; a handler method is named after it (`LlmNewToken` is handled by
/// `on_llm_new_token`) and takes the fields it wants, by name. Every event has its run beside its
/// fields, as the parameter `run: &Run<'_>`.
///
/// The events are emitted by the runs that [`Callbacks`](crate::Callbacks) starts, and nobody makes one by hand:
/// start a run, and its [guard](crate::RunGuard) emits them. What happens outside any run is a
/// [`custom_event`](crate::Callbacks::custom_event), or an event of
/// [a set of one's own](macro@crate::callback_events), whose events are made by hand. Every start is
/// followed by exactly one end or error. [`ToolRequest`](events::ToolRequest) and
/// [`LlmRequest`](events::LlmRequest) are decision events: their handlers return a
/// [`Decision`](crate::Decision), and what they decide is done.
#[callbacks_macros::callback_events(crate = crate, serde, adapt = crate::chat_fallback::adapt)]
pub mod events {
    use serde_json::Value;

    use crate::payload::{
        Chunk, Document, LlmResult, Message, ModelParams, RetryState, RunError, Serialized,
    };

    /// A text model is about to run, on these prompts: in a batch, one for each run.
    #[non_exhaustive]
    pub struct LlmStart<'a> {
        /// Who runs.
        pub serialized: Option<&'a Serialized>,
        /// What it is asked.
        pub prompts: &'a [String],
        /// How the call is made.
        pub params: Option<&'a ModelParams>,
    }

    /// A chat model is about to run, on these conversations: in a batch, one for each run.
    ///
    /// A handler that is not interested in it is called for [`LlmStart`], with the messages as text. What ends
    /// such a run is [`LlmEnd`] or [`LlmError`], as for a text model.
    #[non_exhaustive]
    pub struct ChatModelStart<'a> {
        /// Who runs.
        pub serialized: Option<&'a Serialized>,
        /// What it is asked.
        pub messages: &'a [Vec<Message>],
        /// How the call is made.
        pub params: Option<&'a ModelParams>,
    }

    /// A streaming model produced a token. The empty token is a token.
    #[non_exhaustive]
    pub struct LlmNewToken<'a> {
        /// Its text.
        pub token: &'a str,
        /// All that came with it.
        pub chunk: Option<&'a Chunk>,
        /// Which of several parallel answers it belongs to, from 0.
        pub choice: usize,
    }

    /// A model, text or chat, has answered.
    #[non_exhaustive]
    pub struct LlmEnd<'a> {
        /// The answer.
        pub response: &'a LlmResult,
        /// How the call was made.
        pub params: Option<&'a ModelParams>,
    }

    /// A model, text or chat, did not come to its end.
    #[non_exhaustive]
    pub struct LlmError<'a> {
        /// Why.
        pub error: &'a RunError,
        /// What had arrived.
        pub response: Option<&'a LlmResult>,
        /// How the call was made.
        pub params: Option<&'a ModelParams>,
    }

    /// A chain, or an agent, is about to run.
    #[non_exhaustive]
    pub struct ChainStart<'a> {
        /// Who runs.
        pub serialized: Option<&'a Serialized>,
        /// What it is given.
        pub inputs: &'a Value,
    }

    /// A chain, or an agent, is done.
    #[non_exhaustive]
    pub struct ChainEnd<'a> {
        /// What it made.
        pub outputs: &'a Value,
    }

    /// A chain, or an agent, did not come to its end.
    #[non_exhaustive]
    pub struct ChainError<'a> {
        /// Why.
        pub error: &'a RunError,
    }

    /// A tool is about to run.
    #[non_exhaustive]
    pub struct ToolStart<'a> {
        /// Which.
        pub serialized: Option<&'a Serialized>,
        /// What it is given, as text.
        pub input: &'a str,
        /// What it is given, by argument.
        pub inputs: Option<&'a Value>,
        /// The model's request that it answers.
        pub tool_call_id: Option<&'a str>,
    }

    /// A tool is done.
    #[non_exhaustive]
    pub struct ToolEnd<'a> {
        /// What it found.
        pub output: &'a Value,
        /// The model's request that it answers.
        pub tool_call_id: Option<&'a str>,
    }

    /// A tool did not come to its end.
    #[non_exhaustive]
    pub struct ToolError<'a> {
        /// Why.
        pub error: &'a RunError,
        /// The model's request that it was to answer.
        pub tool_call_id: Option<&'a str>,
    }

    /// An agent, within its run, decided what to do next.
    #[non_exhaustive]
    pub struct AgentAction<'a> {
        /// What.
        pub action: &'a crate::payload::AgentAction,
    }

    /// An agent, within its run, decided that it is done.
    #[non_exhaustive]
    pub struct AgentFinish<'a> {
        /// With what.
        pub finish: &'a crate::payload::AgentFinish,
    }

    /// A retriever is about to search.
    #[non_exhaustive]
    pub struct RetrieverStart<'a> {
        /// Which.
        pub serialized: Option<&'a Serialized>,
        /// What for.
        pub query: &'a str,
    }

    /// A retriever is done.
    #[non_exhaustive]
    pub struct RetrieverEnd<'a> {
        /// What it found.
        pub documents: &'a [Document],
    }

    /// A retriever did not come to its end.
    #[non_exhaustive]
    pub struct RetrieverError<'a> {
        /// Why.
        pub error: &'a RunError,
    }

    /// A run has something to say, to a person.
    #[non_exhaustive]
    pub struct Text<'a> {
        /// What.
        pub text: &'a str,
    }

    /// A run tries again what failed.
    #[non_exhaustive]
    pub struct Retry<'a> {
        /// How often, and why.
        pub retry_state: &'a RetryState,
    }

    /// Something without an event of its own. An event set of one's own is the better way.
    #[non_exhaustive]
    pub struct CustomEvent<'a> {
        /// What.
        pub name: &'a str,
        /// More about it.
        pub data: &'a Value,
    }

    /// May this tool run, and on what? Asked before every [`ToolStart`], which shows what was decided.
    ///
    /// Its methods return a [`ToolDecision`](crate::ToolDecision), or a `Result` of it.
    ///
    /// `run` is the run that is about to start. Where `input` is rewritten, `inputs` are read from it
    /// if it is JSON, and are gone if not.
    #[event(reply = crate::ToolDecision)]
    #[non_exhaustive]
    pub struct ToolRequest<'a> {
        /// Which tool.
        pub serialized: Option<&'a Serialized>,
        /// What it is given, as text.
        pub input: &'a str,
        /// What it is given, by argument.
        pub inputs: Option<&'a Value>,
        /// The model's request that it answers.
        pub tool_call_id: Option<&'a str>,
    }

    /// May this model be called, and with what? Asked before every [`ChatModelStart`] and
    /// [`LlmStart`], which show what was decided.
    ///
    /// Its methods return an [`LlmDecision`](crate::LlmDecision), or a `Result` of it.
    ///
    /// `run` is the run that is about to start. The prompt of a text model is one message of a human;
    /// what it is rewritten to is text again. In a batch, each conversation is asked about.
    #[event(reply = crate::LlmDecision)]
    #[non_exhaustive]
    pub struct LlmRequest<'a> {
        /// Which model.
        pub serialized: Option<&'a Serialized>,
        /// What it is asked.
        pub messages: &'a [Message],
        /// How the call is made.
        pub params: Option<&'a ModelParams>,
    }
}

impl<'a> events::LlmNewToken<'a> {
    /// A token that nothing came with.
    #[inline]
    pub(crate) fn of_text(token: &'a str) -> Self {
        let (chunk, choice) = (None, 0);
        Self {
            token,
            chunk,
            choice,
        }
    }

    /// A token with all that came with it.
    pub(crate) fn of_chunk(chunk: &'a Chunk) -> Self {
        Self {
            token: &chunk.text,
            chunk: Some(chunk),
            choice: chunk.choice,
        }
    }
}

/// Groups of the built-in events, for [`only`](crate::Configured::only) and
/// [`except`](crate::Configured::except). On a handler of another set they choose whatever events have the
/// same place there.
impl Interests {
    /// Everything of models, text and chat.
    pub const LLM: Self = Self::of(&[
        events::LlmStart::INDEX,
        events::ChatModelStart::INDEX,
        events::LlmNewToken::INDEX,
        events::LlmEnd::INDEX,
        events::LlmError::INDEX,
    ]);
    /// Everything of chains.
    pub const CHAIN: Self = Self::of(&[
        events::ChainStart::INDEX,
        events::ChainEnd::INDEX,
        events::ChainError::INDEX,
    ]);
    /// Everything of tools.
    pub const TOOL: Self = Self::of(&[
        events::ToolStart::INDEX,
        events::ToolEnd::INDEX,
        events::ToolError::INDEX,
    ]);
    /// What agents decide.
    pub const AGENT: Self = Self::of(&[events::AgentAction::INDEX, events::AgentFinish::INDEX]);
    /// Everything of retrievers.
    pub const RETRIEVER: Self = Self::of(&[
        events::RetrieverStart::INDEX,
        events::RetrieverEnd::INDEX,
        events::RetrieverError::INDEX,
    ]);
    /// [`Retry`](events::Retry).
    pub const RETRY: Self = Self::of(&[events::Retry::INDEX]);
    /// [`Text`](events::Text).
    pub const TEXT: Self = Self::of(&[events::Text::INDEX]);
    /// [`CustomEvent`](events::CustomEvent).
    pub const CUSTOM: Self = Self::of(&[events::CustomEvent::INDEX]);
}
