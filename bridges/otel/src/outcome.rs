//! What is known of a run at its end: how it came out, in attributes.

use callbacks::{ErrorKind, Generation, LlmResult, RunError, TokenUsage};
use opentelemetry::KeyValue;

use crate::describe::{int, strings};
use crate::names;

/// What a model said about its answer.
pub(crate) fn of_response(response: &LlmResult, failed: bool) -> Vec<KeyValue> {
    let output = &response.llm_output;
    let mut attributes = Vec::new();
    if let Some(id) = &output.response_id {
        attributes.push(KeyValue::new(names::GEN_AI_RESPONSE_ID, id.clone()));
    }
    if let Some(model) = &output.model_name {
        attributes.push(KeyValue::new(names::GEN_AI_RESPONSE_MODEL, model.clone()));
    }
    let choices = response.generations.iter().flatten();
    if choices.clone().any(|choice| choice.finish_reason.is_some()) {
        // One for each choice, in order.
        let reasons = choices.map(|choice| finish_reason(choice, failed).to_owned());
        attributes.push(KeyValue::new(
            names::GEN_AI_RESPONSE_FINISH_REASONS,
            strings(reasons),
        ));
    }
    attributes.extend(of_usage(response.usage()));
    attributes
}

/// Why a model stopped. Where it did not come to its end, that it does not say is an error.
pub(crate) fn finish_reason(choice: &Generation, failed: bool) -> &str {
    let unsaid = if failed { "error" } else { "unknown" };
    choice.finish_reason.as_deref().unwrap_or(unsaid)
}

/// Tokens: what the provider did not count is not guessed.
pub(crate) fn of_usage(usage: &TokenUsage) -> impl Iterator<Item = KeyValue> {
    [
        (names::GEN_AI_USAGE_INPUT_TOKENS, usage.input_tokens),
        (names::GEN_AI_USAGE_OUTPUT_TOKENS, usage.output_tokens),
        (
            names::GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS,
            usage.cache_read,
        ),
        (
            names::GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS,
            usage.cache_write,
        ),
        (names::GEN_AI_USAGE_REASONING_OUTPUT_TOKENS, usage.reasoning),
    ]
    .into_iter()
    .filter_map(|(name, count)| Some(KeyValue::new(name, int(count?))))
}

/// The value of `error.type`: one of few. What an error says can be anything, its type cannot.
pub(crate) fn error_type(error: &RunError) -> String {
    match error.kind {
        ErrorKind::Failed if error.type_name.is_empty() || error.type_name.contains("dyn ") => {
            names::OTHER.to_owned()
        }
        ErrorKind::Failed => error.type_name.clone(),
        kind => kind.as_str().to_owned(),
    }
}
