#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod ambient;
mod argument;
mod blocking;
mod builtin;
mod callbacks;
mod chat_fallback;
mod decision;
mod delivery;
mod error;
mod handler;
pub mod handlers;
mod info;
mod interests;
mod live;
mod macros;
mod payload;
mod record;
mod run_id;
mod runs;
mod set;
#[cfg(feature = "testing")]
pub mod testing;

pub use argument::{IntoMessages, Payload, WhatRuns};
pub use blocking::BlockingCallbacks;
pub use builtin::events;
pub use callbacks::Callbacks;
pub use decision::{Decision, LlmDecision, Reply, ToolDecision};
pub use delivery::{FlushReport, HandlerReport};
pub use error::EmitError;
pub use handler::{
    Answer, BoxError, BoxFuture, Configured, Deliver, DeliverMut, Exclusive, Handler, HandlerFn,
    IntoOutcome, On, OnFull, Outcome, Queue, Registered, handler, on, on_async,
};
pub use info::{Run, RunInfo};
pub use interests::Interests;
use live::Live;
pub use macros::{callback_events, callback_handler};
pub use payload::{
    AgentAction, AgentFinish, Chunk, Content, Document, ErrorKind, Generation, IntoRunError,
    LlmOutput, LlmResult, Message, Metadata, ModelParams, RetryState, Role, RunError, RunKind,
    Serialized, TokenUsage, ToolCall, ToolCallChunk, buffer_string,
};
pub use record::Record;
pub use run_id::{ParseRunIdError, RunId};
pub use runs::{
    Asked, Asking, Async, Blocking, Chain, ChainRun, Deciding, Failing, Flavour, Inputs, IntoChunk,
    Kind, Llm, LlmIter, LlmRun, LlmStream, Messages, Opening, Prompts, Query, Retriever,
    RetrieverRun, RunGuard, Start, Starting, StreamError, Tool, ToolInput, ToolRun,
};
pub use set::{DecisionEvent, Event, EventSet, NoReply};

/// What generated code names.
#[doc(hidden)]
pub mod __private {
    pub use callbacks_macros::expand_handler;
    pub use serde;

    pub use crate::decision::go_on;
    pub use crate::{
        Answer, BoxError, BoxFuture, Deliver, DeliverMut, Event, EventSet, Exclusive, Handler,
        Interests, IntoOutcome, Outcome, Registered, Run, handler::Shared,
    };
}
