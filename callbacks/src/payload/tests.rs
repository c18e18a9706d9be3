//! What the payloads' doctests do not show: JSON in and out, and the edges of the conversions.

use std::error::Error;
use std::fmt::{self, Debug};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, from_value, json, to_value};

use super::*;

fn json_of(payload: impl Serialize) -> Value {
    to_value(payload).unwrap()
}

/// `json` is read, and written again just the same.
#[track_caller]
fn round_trip<T: Serialize + DeserializeOwned>(json: &Value) -> T {
    let payload: T = from_value(json.clone()).unwrap();
    assert_eq!(json_of(&payload), *json);
    payload
}

#[test]
fn every_field_survives_json() {
    let usage = json!({
        "input_tokens": 1, "output_tokens": 2, "total_tokens": 3, "cache_read": 4, "cache_write": 5, "reasoning": 6,
    });
    let message = json!({
        "role": "ai", "content": "hi", "name": "n", "tool_call_id": "1",
        "tool_calls": [{"id": "1", "name": "t", "args": {"x": 1}, "new": 0}], "new": 1,
    });
    round_trip::<ModelParams>(&json!({
        "provider": "p", "model": "m", "stream": true, "temperature": 0.5, "top_p": 0.5, "top_k": 40.0,
        "max_tokens": 25, "stop": ["."], "seed": -1, "choices": 2, "tools": [{}], "server_address": "h",
        "server_port": 443, "conversation_id": "c", "new": {"a": [1]},
    }));
    round_trip::<LlmResult>(&json!({
        "generations": [[{"text": "hi", "message": message, "finish_reason": "stop", "info": {"logprobs": null}}]],
        "llm_output": {
            "token_usage": usage, "model_name": "m", "response_id": "r", "time_to_first_token": 0.25, "new": 1,
        },
    }));
    round_trip::<Chunk>(&json!({
        "text": "a", "reasoning": "b", "choice": 1, "usage": usage, "new": 1,
        "tool_calls": [{"index": 0, "id": "1", "name": "t", "args": "{", "new": 1}],
    }));
    round_trip::<AgentAction>(
        &json!({"tool": "t", "tool_input": {"q": 1}, "log": "l", "type": "AgentAction"}),
    );
    round_trip::<AgentFinish>(
        &json!({"return_values": {"output": 1}, "log": "l", "type": "AgentFinish"}),
    );
    round_trip::<Document>(&json!({
        "page_content": "p", "metadata": {"k": "v"}, "id": "1", "score": 0.5, "type": "Document",
    }));
    let state = round_trip::<RetryState>(&json!({
        "attempt": 2, "max_attempts": 3, "wait": 0.25,
        "error": {"kind": "cancelled", "type_name": "T", "message": "m", "sources": ["s"]},
    }));
    assert_eq!(state.wait, Some(Duration::from_millis(250)));
}

#[test]
fn what_is_not_given_is_not_written() {
    assert_eq!(json_of(ModelParams::new()), json!({}));
    assert_eq!(json_of(Serialized::new("S")), json!({"name": "S"}));
    assert_eq!(
        json_of(Message::human("hi")),
        json!({"role": "human", "content": "hi"})
    );
    assert_eq!(
        json_of(ToolCall::new("t", 1)),
        json!({"name": "t", "args": 1})
    );
    assert_eq!(json_of(ToolCallChunk::new()), json!({}));
    assert_eq!(
        json_of(LlmResult::from_text("hi")),
        json!({"generations": [[{"text": "hi"}]]})
    );
    assert_eq!(json_of(Chunk::text("a")), json!({"text": "a", "choice": 0}));
    assert_eq!(json_of(Document::new("p")), json!({"page_content": "p"}));
    assert_eq!(json_of(RetryState::new(1)), json!({"attempt": 1}));
    assert_eq!(
        json_of(RunError::new("m")),
        json!({"kind": "failed", "message": "m"})
    );
}

/// Each of these fields, one after another.
fn null_is_default<T: Default + PartialEq + Debug + DeserializeOwned>(fields: &[&str]) {
    for field in fields {
        let read: T =
            from_value(json!({*field: null})).unwrap_or_else(|error| panic!("{field}: {error}"));
        assert_eq!(read, T::default(), "{field}");
    }
}

#[test]
fn null_is_nothing_given() {
    null_is_default::<AgentAction>(&["tool", "tool_input", "log"]);
    null_is_default::<AgentFinish>(&["return_values", "log"]);
    null_is_default::<Chunk>(&["text", "reasoning", "choice", "tool_calls", "usage"]);
    null_is_default::<Document>(&["page_content", "metadata", "id", "score"]);
    null_is_default::<Generation>(&[
        "text",
        "message",
        "finish_reason",
        "info",
        "generation_info",
    ]);
    null_is_default::<LlmOutput>(&[
        "token_usage",
        "model_name",
        "response_id",
        "time_to_first_token",
    ]);
    null_is_default::<LlmResult>(&["generations", "llm_output"]);
    null_is_default::<Message>(&["role", "content", "name", "tool_calls", "tool_call_id"]);
    null_is_default::<ModelParams>(&["model", "provider", "stop", "tools", "temperature"]);
    null_is_default::<RetryState>(&["attempt", "max_attempts", "wait", "error"]);
    null_is_default::<RunError>(&["kind", "type_name", "message", "sources"]);
    null_is_default::<Serialized>(&["name", "kwargs"]);
    null_is_default::<TokenUsage>(&["input_tokens", "prompt_tokens", "prompt_tokens_details"]);
    null_is_default::<ToolCall>(&["id", "name", "args"]);
    null_is_default::<ToolCallChunk>(&["index", "id", "name", "args"]);
}

/// Our own name goes first.
#[test]
fn what_is_there_under_both_names() {
    let usage: TokenUsage = from_value(json!({
        "prompt_tokens": 1, "input_tokens": 11, "completion_tokens": 17, "output_tokens": null,
    }))
    .unwrap();
    let expected = TokenUsage::new()
        .with_input_tokens(11)
        .with_output_tokens(17);
    assert_eq!(usage, expected);
    let generation: Generation = from_value(json!({
        "text": "hi", "generation_info": {"seed": 1}, "info": {"seed": 7},
    }))
    .unwrap();
    assert_eq!(generation, Generation::new("hi").with_info("seed", 7));
    let generation: Generation =
        from_value(json!({"info": {}, "generation_info": {"seed": 1}})).unwrap();
    assert_eq!(generation, Generation::new("").with_info("seed", 1));
}

#[test]
fn langchain_serialized() {
    let model: Serialized = from_value(json!({
        "lc": 1, "type": "constructor", "id": ["langchain", "chat_models", "openai", "ChatOpenAI"],
        "kwargs": {"max_tokens": 25},
    }))
    .unwrap();
    assert_eq!(model.name, "ChatOpenAI");
    assert_eq!(model.kwargs["max_tokens"], 25);
    assert_eq!(model.extra["type"], "constructor");
    // It has gained a name, and stays equal from then on.
    assert_eq!(round_trip::<Serialized>(&json_of(&model)), model);

    let tool = round_trip::<Serialized>(
        &json!({"name": "search", "description": "finds", "id": ["a", "Tool"]}),
    );
    assert_eq!(tool.name, "search");
    assert_eq!(tool.extra["description"], "finds");

    for odd in [
        json!({}),
        json!({"id": []}),
        json!({"id": "x"}),
        json!({"id": [1]}),
    ] {
        assert_eq!(from_value::<Serialized>(odd).unwrap().name, "");
    }
}

#[test]
fn roles() {
    for (name, role) in [
        ("SYSTEM", Role::System),
        ("Human", Role::Human),
        ("User", Role::Human),
        ("assistant", Role::Ai),
        ("AIMessageChunk", Role::Ai),
        ("Tool", Role::Tool),
        ("Developer", Role::Other("Developer".to_owned())),
    ] {
        assert_eq!(from_value::<Role>(json!(name)).unwrap(), role);
        assert_eq!(round_trip::<Role>(&json!(role.as_str())), role);
    }
}

#[test]
fn role_and_type_in_one_message() {
    let message = round_trip::<Message>(&json!({"role": "ai", "type": "message", "content": []}));
    assert_eq!(message.role, Role::Ai);
    assert_eq!(message.extra["type"], "message");

    let message: Message =
        from_value(json!({"type": "AIMessageChunk", "content": "hi", "id": "1"})).unwrap();
    assert_eq!(message, Message::ai("hi").with_extra("id", "1"));
}

#[test]
fn text_of_blocks() {
    let content: Content = from_value(json!([
        "a", {"type": "text", "text": "b"}, {"type": "reasoning", "text": "no"}, {"type": "text"}, 1, null
    ]))
    .unwrap();
    assert_eq!(content.text(), "ab");
    assert_eq!(Content::Blocks(Vec::new()).text(), "");
}

#[test]
fn other_chats_as_text() {
    let chat = [
        Message::ai("ok").with_tool_calls([ToolCall::new("t", json!({"x": 1}))]),
        Message::tool("1", "id"),
        Message::new("critic", vec![json!("bad")]),
    ];
    assert_eq!(
        buffer_string(&chat),
        "AI: ok[{\"name\":\"t\",\"args\":{\"x\":1}}]\nTool: 1\ncritic: bad"
    );
    assert_eq!(buffer_string(&[]), "");
}

#[test]
fn openai_token_usage() {
    let json = json!({"prompt_tokens": 11, "completion_tokens": 17, "total_tokens": 28, "prompt_tokens_details": null});
    let usage = TokenUsage::new()
        .with_input_tokens(11)
        .with_output_tokens(17)
        .with_total_tokens(28);
    assert_eq!(from_value::<TokenUsage>(json).unwrap(), usage);
}

#[test]
fn token_usage_does_not_overflow() {
    let mut sum = TokenUsage::new().with_reasoning(u64::MAX);
    sum += &TokenUsage::new().with_reasoning(1);
    assert_eq!(sum.reasoning, Some(u64::MAX));
}

#[test]
fn a_wait_that_is_no_time_is_an_error() {
    assert!(from_value::<RetryState>(json!({"wait": -1.0})).is_err());
    assert!(from_value::<RetryState>(json!({"wait": 1e300})).is_err());
}

#[test]
fn a_wait_for_ever_is_read_again() {
    let state = RetryState::new(1).with_wait(Duration::MAX);
    let again: RetryState = from_value(json_of(&state)).unwrap();
    assert_eq!(again.wait.unwrap().as_secs() >> 32, u64::from(u32::MAX));
}

#[test]
fn error_kinds_are_serialized_as_they_are_named() {
    use ErrorKind::{Abandoned, Cancelled, Dropped, Failed, Panicked, Stopped};
    for kind in [Failed, Cancelled, Dropped, Panicked, Abandoned, Stopped] {
        assert_eq!(round_trip::<ErrorKind>(&json!(kind.as_str())), kind);
    }
}

#[derive(Debug)]
struct Layer(Option<Box<Layer>>);

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "outer" } else { "inner" })
    }
}

impl Error for Layer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.as_deref().map(|layer| layer as _)
    }
}

#[derive(Debug)]
struct Cycle;

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("again")
    }
}

impl Error for Cycle {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self)
    }
}

#[test]
fn an_error_brings_its_sources() {
    let layers = Layer(Some(Box::new(Layer(Some(Box::new(Layer(None)))))));
    let error = RunError::from(&&layers);
    assert_eq!(error.type_name, std::any::type_name::<Layer>());
    assert_eq!(error.message, "outer");
    assert_eq!(error.sources, ["outer", "inner"]);
    assert_eq!(RunError::from(&error), error);
    assert_eq!(RunError::from(Cycle).sources.len(), 64);
}
