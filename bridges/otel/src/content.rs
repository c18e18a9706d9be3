//! Content in the form of the conventions: messages of parts, tools, documents.

use callbacks::{Content, Document, Generation, LlmResult, Message, Role, ToolCall};
use serde_json::{Map, Value, json};

use crate::outcome::finish_reason;
use crate::parts;

/// Chats that a model is asked to go on with, one message after the other.
pub(crate) fn chats(chats: &[Vec<Message>]) -> Value {
    chats
        .iter()
        .flatten()
        .map(message)
        .map(Value::Object)
        .collect()
}

/// Texts that a model is asked to go on with: what a user says.
pub(crate) fn prompts(prompts: &[String]) -> Value {
    prompts.iter().map(|prompt| said("user", prompt)).collect()
}

/// What a model answered, a message for each choice.
pub(crate) fn answers(response: &LlmResult, failed: bool) -> Value {
    let choices = response.generations.iter().flatten();
    choices.map(|choice| answer(choice, failed)).collect()
}

fn answer(choice: &Generation, failed: bool) -> Value {
    let mut answer = match &choice.message {
        Some(said) => message(said),
        None => message(&Message::ai(&*choice.text)),
    };
    let reason = in_the_conventions(finish_reason(choice, failed));
    answer.insert("finish_reason".to_owned(), reason.into());
    Value::Object(answer)
}

/// The conventions' word for what providers call differently.
fn in_the_conventions(reason: &str) -> &str {
    match reason {
        "end_turn" | "stop_sequence" | "eos" | "STOP" => "stop",
        "max_tokens" | "MAX_TOKENS" => "length",
        "tool_calls" | "tool_use" | "function_call" => "tool_call",
        "SAFETY" | "refusal" => "content_filter",
        other => other,
    }
}

fn message(message: &Message) -> Map<String, Value> {
    let role = match &message.role {
        Role::Human => "user",
        Role::Ai => "assistant",
        other => other.as_str(),
    };
    let mut parts = Vec::new();
    // Where a streamed answer keeps it.
    if let Some(Value::String(reasoning)) = message.extra.get("reasoning") {
        parts.push(json!({"type": "reasoning", "content": reasoning}));
    }
    match (&message.role, &message.content) {
        (Role::Tool, content) => {
            let response = match content {
                Content::Text(text) => text.as_str().into(),
                Content::Blocks(blocks) => blocks.clone().into(),
            };
            parts.push(parts::tool_response(
                message.tool_call_id.as_deref(),
                &response,
            ));
        }
        (_, Content::Text(text)) if text.is_empty() => {}
        (_, Content::Text(text)) => parts.push(parts::text(text)),
        (_, Content::Blocks(blocks)) => {
            let called = !message.tool_calls.is_empty();
            // They are there twice, with some providers.
            let again = |block: &&Value| called && block["type"] == "tool_use";
            let blocks = blocks.iter().filter(|block| !again(block));
            parts.extend(blocks.map(parts::of_block));
        }
    }
    let calls = message.tool_calls.iter();
    parts.extend(
        calls.map(|ToolCall { id, name, args, .. }| parts::tool_call(id.as_deref(), name, args)),
    );
    let mut object = Map::new();
    object.insert("role".to_owned(), role.into());
    object.insert("parts".to_owned(), parts.into());
    if let Some(name) = &message.name {
        object.insert("name".to_owned(), name.as_str().into());
    }
    object
}

/// The tools that a model is offered, by name: more is not recommended, for its size.
pub(crate) fn tools(tools: &[Value]) -> Value {
    let tool = |tool: &Value| {
        // OpenAI's are `{type, function: {name, ..}}`, others' `{name, ..}`.
        let inner = tool.get("function").unwrap_or(tool);
        let kind = tool["type"].as_str().unwrap_or("function");
        // What a provider has built in may go by its type alone.
        let name = inner["name"].as_str().unwrap_or(kind);
        json!({"type": kind, "name": name})
    };
    tools.iter().map(tool).collect()
}

/// What a tool is given.
pub(crate) fn arguments(inputs: Option<&Value>, input: &str) -> Value {
    inputs.cloned().unwrap_or_else(|| input.into())
}

/// What a retriever found.
pub(crate) fn documents(documents: &[Document]) -> Value {
    let document = |document: &Document| {
        let mut object = Map::new();
        let mut add = |key: &str, value: Option<Value>| {
            object.extend(value.map(|value| (key.to_owned(), value)));
        };
        add("id", document.id.as_deref().map(Value::from));
        add("score", document.score.map(Value::from));
        add("content", Some(document.page_content.as_str().into()));
        let metadata = json!(document.metadata);
        add("metadata", Some(metadata).filter(|all| all != &json!({})));
        Value::Object(object)
    };
    documents.iter().map(document).collect()
}

/// What a chain is given.
pub(crate) fn inputs(inputs: &Value) -> Value {
    json!([said("user", &text(inputs))])
}

/// What a chain made.
pub(crate) fn outputs(outputs: &Value) -> Value {
    let mut said = said("assistant", &text(outputs));
    said["finish_reason"] = "stop".into();
    json!([said])
}

fn said(role: &str, text: &str) -> Value {
    json!({"role": role, "parts": [parts::text(text)]})
}

/// Text as it is, and anything else as JSON: an attribute of a span can be no map.
pub(crate) fn text(value: &Value) -> String {
    let text = value.as_str().map(str::to_owned);
    text.unwrap_or_else(|| value.to_string())
}
