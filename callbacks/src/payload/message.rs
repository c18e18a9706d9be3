//! One message of a chat, and a chat as text.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::json::null_as_default;
use super::setters::{entries, setters};
use super::{Content, Metadata, Role, ToolCall};

/// One message of a chat.
///
/// ```
/// use callbacks::{Message, Role, ToolCall};
/// use serde_json::json;
///
/// let chat = [
///     Message::system("be nice"),
///     Message::human("What is the weather in Rome?").with_name("ada"),
///     Message::ai("").with_tool_calls([ToolCall::new("weather", json!({"city": "Rome"})).with_id("1")]),
///     Message::tool("sunny", "1"),
///     Message::new("critic", "too short"),
/// ];
/// assert_eq!(chat[0].role, Role::System);
/// assert_eq!(chat[3].text(), "sunny");
/// ```
///
/// JSON may say `type` for `role`, as LangChain does, and OpenAI's role names:
///
/// ```
/// # use callbacks::Message;
/// let message: Message = serde_json::from_str(r#"{"type": "human", "content": "hi"}"#)?;
/// assert_eq!(message, Message::human("hi"));
/// let message: Message = serde_json::from_str(r#"{"role": "assistant", "content": "hi"}"#)?;
/// assert_eq!(message, Message::ai("hi"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(from = "Json")]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: Content,
    /// Tells speakers with the same role apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The tools the model wants called.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// In a tool's message: the [`ToolCall::id`] it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// Anything else.
    #[serde(flatten)]
    pub extra: Metadata,
}

impl Message {
    /// A message by `role`, which may be a name.
    #[must_use]
    pub fn new(role: impl Into<Role>, content: impl Into<Content>) -> Self {
        Self {
            role: role.into(),
            content: content.into(),
            ..Self::default()
        }
    }

    /// A system message.
    #[must_use]
    pub fn system(content: impl Into<Content>) -> Self {
        Self::new(Role::System, content)
    }

    /// A user's message.
    #[must_use]
    pub fn human(content: impl Into<Content>) -> Self {
        Self::new(Role::Human, content)
    }

    /// A model's message.
    #[must_use]
    pub fn ai(content: impl Into<Content>) -> Self {
        Self::new(Role::Ai, content)
    }

    /// A tool's answer to the call with the id `tool_call_id`.
    #[must_use]
    pub fn tool(content: impl Into<Content>, tool_call_id: impl Into<String>) -> Self {
        Self::new(Role::Tool, content).with_tool_call_id(tool_call_id)
    }

    /// The text of the content; see [`Content::text`].
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        self.content.text()
    }

    setters! {
        with_name(name: impl Into<String>) = Some(name.into());
        with_tool_calls(tool_calls: impl IntoIterator<Item = ToolCall>) = tool_calls.into_iter().collect();
        with_tool_call_id(tool_call_id: impl Into<String>) = Some(tool_call_id.into());
    }

    entries! {
        with_extra => extra;
    }
}

/// A chat as text: a line `label: text` per message, with [`Role::label`] as the label.
///
/// This is LangChain's `get_buffer_string`; tool calls follow the text as JSON (there: as Python).
/// A handler that knows no chats gets this as its prompt.
///
/// ```
/// use callbacks::{Message, buffer_string};
///
/// let chat = [Message::system("be nice"), Message::human("hi")];
/// assert_eq!(buffer_string(&chat), "System: be nice\nHuman: hi");
/// ```
#[must_use]
pub fn buffer_string(messages: &[Message]) -> String {
    let line = |message: &Message| {
        let mut line = format!("{}: {}", message.role.label(), message.text());
        if !message.tool_calls.is_empty() {
            line += &serde_json::to_string(&message.tool_calls).unwrap_or_default();
        }
        line
    };
    messages.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Not a serde alias: some JSON has both `role` and `type`, and then `type` is something else.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Json {
    role: Option<Role>,
    #[serde(deserialize_with = "null_as_default")]
    content: Content,
    name: Option<String>,
    #[serde(deserialize_with = "null_as_default")]
    tool_calls: Vec<ToolCall>,
    tool_call_id: Option<String>,
    #[serde(flatten)]
    extra: Metadata,
}

impl From<Json> for Message {
    fn from(json: Json) -> Self {
        let mut extra = json.extra;
        let role = json.role.or_else(|| {
            let role = Role::from(extra.get("type")?.as_str()?);
            extra.remove("type");
            Some(role)
        });
        Self {
            role: role.unwrap_or_default(),
            content: json.content,
            name: json.name,
            tool_calls: json.tool_calls,
            tool_call_id: json.tool_call_id,
            extra,
        }
    }
}
