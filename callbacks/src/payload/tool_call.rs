//! A model's wish to have a tool called, whole or in pieces.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Metadata;
use super::json::null_as_default;
use super::setters::{entries, setters};

/// A tool the model wants called.
///
/// ```
/// use callbacks::ToolCall;
/// use serde_json::json;
///
/// let call = ToolCall::new("weather", json!({"city": "Rome"})).with_id("call_1");
/// assert_eq!(call.args["city"], "Rome");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct ToolCall {
    /// What the tool's answer refers to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The tool's name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    /// The arguments, most often an object.
    pub args: Value,
    /// Anything else.
    #[serde(flatten)]
    pub extra: Metadata,
}

impl ToolCall {
    /// A call of the tool `name`.
    #[must_use]
    pub fn new(name: impl Into<String>, args: impl Into<Value>) -> Self {
        Self {
            name: name.into(),
            args: args.into(),
            ..Self::default()
        }
    }

    setters! {
        with_id(id: impl Into<String>) = Some(id.into());
    }

    entries! {
        with_extra => extra;
    }
}

/// A piece of a streamed [`ToolCall`].
///
/// Pieces with the same `index` belong together; their `args` are one JSON text cut anywhere.
///
/// ```
/// use callbacks::ToolCallChunk;
///
/// let first = ToolCallChunk::new().with_index(0).with_id("call_1").with_name("weather");
/// let second = ToolCallChunk::new().with_index(0).with_args(r#"{"city": "#);
/// assert_eq!(first.index, second.index);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct ToolCallChunk {
    /// Which of the message's tool calls this is a piece of, 0 first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    /// The call's id; most often only the first piece has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The tool's name; most often only the first piece has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The next piece of the arguments' JSON text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<String>,
    /// Anything else.
    #[serde(flatten)]
    pub extra: Metadata,
}

impl ToolCallChunk {
    /// An empty piece.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        with_index(index: usize) = Some(index);
        with_id(id: impl Into<String>) = Some(id.into());
        with_name(name: impl Into<String>) = Some(name.into());
        with_args(args: impl Into<String>) = Some(args.into());
    }

    entries! {
        with_extra => extra;
    }
}
