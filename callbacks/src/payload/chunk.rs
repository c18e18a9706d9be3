//! A piece of a streamed answer.

use serde::{Deserialize, Serialize};

use super::json::null_as_default;
use super::setters::{entries, setters};
use super::{Metadata, TokenUsage, ToolCallChunk};

/// A piece of a model's streamed answer.
///
/// ```
/// use callbacks::{Chunk, TokenUsage};
///
/// let piece = Chunk::text("Why");
/// assert_eq!(piece.choice, 0);
///
/// let last = Chunk::text("").with_usage(TokenUsage::new().with_output_tokens(17));
/// assert!(last.usage.is_some());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct Chunk {
    /// The next piece of text; may be empty.
    #[serde(deserialize_with = "null_as_default")]
    pub text: String,
    /// The next piece of the model's reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// Which of several parallel choices this is a piece of, 0 first.
    #[serde(deserialize_with = "null_as_default")]
    pub choice: usize,
    /// Pieces of tool calls.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub tool_calls: Vec<ToolCallChunk>,
    /// The tokens the call took; most often only the last piece has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<TokenUsage>,
    /// Anything else.
    #[serde(flatten)]
    pub extra: Metadata,
}

impl Chunk {
    /// A piece of text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    setters! {
        with_reasoning(reasoning: impl Into<String>) = Some(reasoning.into());
        with_choice(choice: usize) = choice;
        with_tool_calls(tool_calls: impl IntoIterator<Item = ToolCallChunk>) = tool_calls.into_iter().collect();
        with_usage(usage: TokenUsage) = Some(usage);
    }

    entries! {
        with_extra => extra;
    }
}
