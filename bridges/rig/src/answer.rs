//! What models, tools and indexes answer.

use callbacks::{Document, Generation, LlmOutput, LlmResult, RunError, TokenUsage, ToolCall};
use rig_core::completion::{CompletionResponse, FinishReason, Usage};
use rig_core::effect::RetrievedDocuments;
use rig_core::message::ToolResultContent;
use rig_core::tool::{ToolOutput, ToolResult};
use serde_json::{Value, json};

use crate::messages;

/// What a model answered.
pub(crate) fn result(response: &CompletionResponse) -> LlmResult {
    let message = messages::assistant(&response.choice);
    let mut generation = Generation::from_message(message);
    if let Some(reason) = response.finish_reason() {
        generation = generation.with_finish_reason(finish_reason(&reason));
    }
    let origin = &response.origin;
    let model = origin.response_model.as_ref().unwrap_or(&origin.model);
    let mut output = LlmOutput::new()
        .with_token_usage(usage(&response.usage))
        .with_model_name(&**model)
        .with_extra("provider", &*origin.provider);
    output.response_id = response.response_id().map(str::to_owned);
    if let Some(id) = &response.provider_request_id {
        output = output.with_extra("provider_request_id", &**id);
    }
    if let Some(cost) = &response.usage.cost {
        output = output.with_extra("cost", json!(cost));
    }
    LlmResult::new(vec![vec![generation]]).with_llm_output(output)
}

fn finish_reason(reason: &FinishReason) -> String {
    match reason {
        FinishReason::Other(reason) => reason.clone(),
        known => json!(known).as_str().unwrap_or_default().to_owned(),
    }
}

fn usage(usage: &Usage) -> TokenUsage {
    let mut tokens = TokenUsage::new();
    tokens.input_tokens = usage.input_tokens;
    tokens.output_tokens = usage.output_tokens;
    tokens.total_tokens = usage.total_tokens;
    tokens.cache_read = usage.cached_input_tokens;
    tokens.cache_write = usage.cache_creation_input_tokens;
    tokens.reasoning = usage.reasoning_tokens;
    tokens
}

/// The tools that the model wants called.
pub(crate) fn calls(response: &CompletionResponse) -> Vec<ToolCall> {
    messages::assistant(&response.choice).tool_calls
}

/// What a tool gave: what went wrong in it is an error, whatever the model is told.
pub(crate) fn output(result: &ToolResult) -> Result<Value, RunError> {
    match result.error().or(result.refusal()) {
        Some(error) => Err(RunError::from(error)),
        None => Ok(value(result.output())),
    }
}

fn value(output: &ToolOutput) -> Value {
    match output.as_content() {
        [ToolResultContent::Text(text)] => json!(text.text),
        [ToolResultContent::Json { value }] => value.clone(),
        content => json!(content),
    }
}

/// As a tool gives it.
pub(crate) fn tool_output(value: Value) -> ToolOutput {
    match value {
        Value::String(text) => ToolOutput::text(text),
        value => ToolOutput::json(value),
    }
}

/// What an index found.
pub(crate) fn documents(found: &RetrievedDocuments) -> Vec<Document> {
    let document = |score: f64, id: &str, content: String| {
        Document::new(content).with_score(score).with_id(id)
    };
    match found {
        RetrievedDocuments::Scored(found) => found
            .iter()
            .map(|(score, id, content)| {
                let text = content.as_str().map(str::to_owned);
                document(*score, id, text.unwrap_or_else(|| content.to_string()))
            })
            .collect(),
        RetrievedDocuments::Ids(found) => found
            .iter()
            .map(|(score, id)| document(*score, id, String::new()))
            .collect(),
    }
}
