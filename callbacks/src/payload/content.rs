//! What a message says.

use std::borrow::Cow;
use std::ops::Add;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a [`Message`](super::Message) says: text, or the provider's content blocks as they are.
///
/// ```
/// use callbacks::Content;
/// use serde_json::json;
///
/// let content = Content::from(vec![
///     json!({"type": "text", "text": "What is "}),
///     json!({"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}),
///     json!({"type": "text", "text": "this?"}),
/// ]);
/// assert_eq!(content.text(), "What is this?");
/// assert_eq!(Content::from("hi").text(), "hi");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Content {
    /// Plain text.
    Text(String),
    /// Content blocks. A text block is a string or `{"type": "text", "text": ".."}`.
    Blocks(Vec<Value>),
}

impl Content {
    /// The text, or the text of all text blocks one after the other.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => text.into(),
            Self::Blocks(blocks) => blocks
                .iter()
                .filter_map(block_text)
                .fold(Cow::default(), Add::add),
        }
    }
}

fn block_text(block: &Value) -> Option<&str> {
    match block {
        Value::Object(fields) if fields.get("type")? == "text" => fields.get("text")?.as_str(),
        block => block.as_str(),
    }
}

impl Default for Content {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<Value>> for Content {
    fn from(blocks: Vec<Value>) -> Self {
        Self::Blocks(blocks)
    }
}
