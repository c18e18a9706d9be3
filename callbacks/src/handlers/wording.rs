//! What handlers show of payloads.

use serde::Serialize;
use serde_json::Value;

use crate::payload::RetryState;

/// A payload as JSON. Those of this crate are all JSON.
pub(super) fn json(payload: &(impl Serialize + ?Sized)) -> Value {
    serde_json::to_value(payload).unwrap_or_default()
}

/// What a tool was given: by argument if that is known.
pub(super) fn tool_input(input: &str, inputs: Option<&Value>) -> Value {
    inputs.cloned().unwrap_or_else(|| input.into())
}

/// A retry, for a person to read.
pub(super) fn retry(state: &RetryState) -> String {
    let error = state.error.as_ref();
    let error = error.map_or_else(String::new, |error| format!(": {}", error.message));
    format!("attempt {} failed{error}", state.attempt)
}
