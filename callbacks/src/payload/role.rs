//! Who speaks in a message.

use serde::{Deserialize, Serialize, Serializer};

/// Who speaks in a [`Message`](super::Message).
///
/// Made from a name in any case, LangChain's or OpenAI's; a name that is neither is kept as it is.
///
/// ```
/// use callbacks::Role;
///
/// assert_eq!(Role::from("user"), Role::Human);
/// assert_eq!(Role::from("AI"), Role::Ai);
/// assert_eq!(Role::Ai.as_str(), "ai");
/// assert_eq!(Role::Ai.label(), "AI");
/// assert_eq!(Role::from("critic"), Role::Other("critic".to_owned()));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[non_exhaustive]
#[serde(from = "String")]
pub enum Role {
    /// The instructions that frame the conversation.
    System,
    /// The user.
    #[default]
    Human,
    /// The model.
    Ai,
    /// A tool, with its result.
    Tool,
    /// Anyone else, by name.
    Other(String),
}

impl Role {
    /// The role's name: `system`, `human`, `ai`, `tool`, or the other name.
    ///
    /// This is also how a role is serialized.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::System => "system",
            Self::Human => "human",
            Self::Ai => "ai",
            Self::Tool => "tool",
            Self::Other(name) => name,
        }
    }

    /// The role as it stands before a message in [`buffer_string`](super::buffer_string):
    /// `System`, `Human`, `AI`, `Tool`, or the other name.
    #[must_use]
    pub fn label(&self) -> &str {
        match self {
            Self::System => "System",
            Self::Human => "Human",
            Self::Ai => "AI",
            Self::Tool => "Tool",
            Self::Other(name) => name,
        }
    }

    fn known(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        // LangChain calls a streamed message "AIMessageChunk" where a whole one is "ai".
        match name.strip_suffix("messagechunk").unwrap_or(&name) {
            "system" => Some(Self::System),
            "human" | "user" => Some(Self::Human),
            "ai" | "assistant" => Some(Self::Ai),
            "tool" => Some(Self::Tool),
            _ => None,
        }
    }
}

impl From<&str> for Role {
    fn from(name: &str) -> Self {
        Self::known(name).unwrap_or_else(|| Self::Other(name.to_owned()))
    }
}

impl From<String> for Role {
    fn from(name: String) -> Self {
        Self::known(&name).unwrap_or(Self::Other(name))
    }
}

impl Serialize for Role {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
