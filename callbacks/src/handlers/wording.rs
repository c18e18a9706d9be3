//! What handlers show of payloads.

use serde::Serialize;
use serde_json::Value;

use super::drawing::duration;
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
    let most = state.max_attempts.map(|most| format!(" of {most}"));
    let error = state
        .error
        .as_ref()
        .map(|error| format!(": {}", error.message));
    let wait = state
        .wait
        .map(|wait| format!("; again in {}", duration(wait)));
    let [most, error, wait] = [most, error, wait].map(Option::unwrap_or_default);
    format!("attempt {}{most} failed{error}{wait}", state.attempt)
}
