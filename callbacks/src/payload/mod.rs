//! The payloads: owned, serializable data that events carry. They know nothing of events, runs or handlers.
//!
//! All of them are `#[non_exhaustive]` with public fields: build one with its constructor and `with_..`
//! setters, read and change its fields directly. JSON with missing fields is accepted, and what has no
//! field of its own is kept in `extra` where a type has one.

#![allow(
    clippy::doc_markdown,
    reason = "LangChain and OpenAI are names, not code"
)]

use std::collections::BTreeMap;

use serde_json::Value;

mod agent;
mod assembly;
mod chunk;
mod content;
mod document;
mod error;
mod into_run_error;
mod json;
mod message;
mod params;
mod result;
mod retry;
mod role;
mod run_kind;
mod serialized;
mod setters;
mod tool_call;
mod usage;

#[cfg(test)]
mod tests;

pub use agent::{AgentAction, AgentFinish};
pub use chunk::Chunk;
pub use content::Content;
pub use document::Document;
pub use error::{ErrorKind, RunError};
pub use into_run_error::IntoRunError;
pub use message::{Message, buffer_string};
pub use params::ModelParams;
pub use result::{Generation, LlmOutput, LlmResult};
pub use retry::RetryState;
pub use role::Role;
pub use run_kind::RunKind;
pub use serialized::Serialized;
pub use tool_call::{ToolCall, ToolCallChunk};
pub use usage::TokenUsage;

pub(crate) use assembly::Assembly;

/// JSON values by name, in the order of their names.
///
/// ```
/// use callbacks::Metadata;
///
/// let metadata = Metadata::from([("user".to_owned(), 42.into())]);
/// assert_eq!(metadata["user"], 42);
/// ```
pub type Metadata = BTreeMap<String, Value>;
