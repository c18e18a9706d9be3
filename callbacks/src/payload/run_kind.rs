//! What kind of work a run is.

use std::fmt;

/// What kind of work a run is.
///
/// ```
/// use callbacks::RunKind;
///
/// assert_eq!(RunKind::ChatModel.as_str(), "chat_model");
/// assert_eq!(RunKind::Custom("rerank").to_string(), "rerank");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RunKind {
    /// A call of a text model.
    Llm,
    /// A call of a chat model.
    ChatModel,
    /// A sequence of steps.
    Chain,
    /// A chain whose next step a model decides.
    Agent,
    /// A call of a tool.
    Tool,
    /// A search for documents.
    Retriever,
    /// A kind of the framework's own.
    Custom(&'static str),
}

impl RunKind {
    /// The kind's name in `snake_case`; of a custom kind, the name given.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Llm => "llm",
            Self::ChatModel => "chat_model",
            Self::Chain => "chain",
            Self::Agent => "agent",
            Self::Tool => "tool",
            Self::Retriever => "retriever",
            Self::Custom(name) => name,
        }
    }
}

impl fmt::Display for RunKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
