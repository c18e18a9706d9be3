//! What an agent decides: the next tool, or to be done.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Metadata;
use super::json::null_as_default;
use super::setters::{entries, setters};

/// An agent's decision to use a tool.
///
/// ```
/// use callbacks::AgentAction;
///
/// let action = AgentAction::new("search", "age of the universe").with_log("I should look this up.");
/// assert_eq!(action.tool, "search");
/// assert_eq!(action.tool_input, "age of the universe");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct AgentAction {
    /// The tool's name.
    #[serde(deserialize_with = "null_as_default")]
    pub tool: String,
    /// What the tool is given.
    pub tool_input: Value,
    /// The agent's words that led to the decision.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub log: String,
    /// Anything else.
    #[serde(flatten)]
    pub extra: Metadata,
}

impl AgentAction {
    /// The use of `tool` with `tool_input`.
    #[must_use]
    pub fn new(tool: impl Into<String>, tool_input: impl Into<Value>) -> Self {
        Self {
            tool: tool.into(),
            tool_input: tool_input.into(),
            ..Self::default()
        }
    }

    setters! {
        with_log(log: impl Into<String>) = log.into();
    }

    entries! {
        with_extra => extra;
    }
}

/// An agent's decision that it is done.
///
/// ```
/// use callbacks::AgentFinish;
/// use serde_json::json;
///
/// let finish = AgentFinish::new(json!({"output": "13.8 billion years"})).with_log("Now I know.");
/// assert_eq!(finish.return_values["output"], "13.8 billion years");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct AgentFinish {
    /// What the agent returns, most often an object.
    pub return_values: Value,
    /// The agent's words that led to the decision.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub log: String,
    /// Anything else.
    #[serde(flatten)]
    pub extra: Metadata,
}

impl AgentFinish {
    /// The return of `return_values`.
    #[must_use]
    pub fn new(return_values: impl Into<Value>) -> Self {
        Self {
            return_values: return_values.into(),
            ..Self::default()
        }
    }

    setters! {
        with_log(log: impl Into<String>) = log.into();
    }

    entries! {
        with_extra => extra;
    }
}
