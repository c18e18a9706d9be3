//! Who runs: the component behind a run.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Metadata;
use super::json::null_as_default;
use super::setters::entries;

/// Who runs: a component's class name and the arguments it was built with.
///
/// Handlers log and store this, so `kwargs` must be free of secrets: leave API keys out.
///
/// A component known by its name alone is a `const`:
///
/// ```
/// use callbacks::Serialized;
///
/// static AGENT: Serialized = Serialized::new("Planner");
/// assert_eq!(AGENT.name, "Planner");
///
/// let model = Serialized::new("ChatOpenAI").with_kwarg("max_tokens", 25);
/// assert_eq!(model.kwargs["max_tokens"], 25);
/// ```
///
/// In LangChain's JSON, which may have no `name`, the last element of `id` is the name:
///
/// ```
/// # use callbacks::Serialized;
/// let json = r#"{"lc": 1, "type": "constructor", "id": ["langchain", "ChatOpenAI"], "kwargs": {}}"#;
/// let model: Serialized = serde_json::from_str(json)?;
/// assert_eq!(model.name, "ChatOpenAI");
/// assert_eq!(model.extra["lc"], 1);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(from = "Json")]
pub struct Serialized {
    /// The component's class name.
    pub name: Cow<'static, str>,
    /// The arguments the component was built with, free of secrets.
    #[serde(skip_serializing_if = "Metadata::is_empty")]
    pub kwargs: Metadata,
    /// Anything else, such as a tool's `description`.
    #[serde(flatten)]
    pub extra: Metadata,
}

impl Serialized {
    /// A component with this class name. One that is known only when it runs is `Serialized::from(name)`.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name: Cow::Borrowed(name),
            kwargs: Metadata::new(),
            extra: Metadata::new(),
        }
    }

    entries! {
        with_kwarg => kwargs;
        with_extra => extra;
    }
}

impl From<&'static str> for Serialized {
    fn from(name: &'static str) -> Self {
        Self::new(name)
    }
}

impl From<String> for Serialized {
    fn from(name: String) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Json {
    name: Option<String>,
    #[serde(deserialize_with = "null_as_default")]
    kwargs: Metadata,
    #[serde(flatten)]
    extra: Metadata,
}

impl From<Json> for Serialized {
    fn from(json: Json) -> Self {
        let last_of_id = || json.extra.get("id")?.as_array()?.last()?.as_str();
        let name = json
            .name
            .or_else(|| last_of_id().map(str::to_owned))
            .unwrap_or_default();
        Self {
            name: name.into(),
            kwargs: json.kwargs,
            extra: json.extra,
        }
    }
}
