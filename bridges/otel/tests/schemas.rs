//! Content is valid by the conventions' JSON schemas, whatever it was made of.

#[path = "common/conventions.rs"]
#[allow(unreachable_pub, reason = "a test of its own")]
mod conventions;
#[path = "common/told.rs"]
#[allow(dead_code, unreachable_pub, reason = "other tests share it")]
mod told;

use callbacks::{Generation, LlmResult, Message, ModelParams, ToolCall};
use callbacks_otel::{Capture, names};
use conventions::{assert_input, assert_output, assert_tools};
use serde_json::{Value, json};
use told::{Fixture, WHO, everything, fixture};

/// Whatever the fixture has heard, on spans and in events; returns how much of it there was.
fn assert_valid(fixture: &Fixture) -> usize {
    let mut seen = 0;
    let mut assert_one = |name: &str, content: &Value| {
        match name {
            names::GEN_AI_INPUT_MESSAGES => assert_input(content),
            names::GEN_AI_OUTPUT_MESSAGES => assert_output(content),
            names::GEN_AI_TOOL_DEFINITIONS => assert_tools(content),
            _ => return,
        }
        seen += 1;
    };
    for span in fixture.spans.get_finished_spans().unwrap() {
        for pair in span.attributes {
            let json = serde_json::from_str(&pair.value.as_str()).unwrap_or_default();
            assert_one(pair.key.as_str(), &json);
        }
    }
    for (.., attributes) in fixture.events() {
        for (name, json) in &attributes {
            assert_one(name, json);
        }
    }
    seen
}

#[tokio::test]
async fn of_every_kind_of_run() {
    let fixture = fixture(Capture::SpanAndEvent);
    everything(&fixture.callbacks).await.unwrap();
    // of two chains in and out, of two models also the event; one of the models has a tool
    assert_eq!(assert_valid(&fixture), 2 * 2 + 2 * 2 * 2 + 2);
}

/// Parts as the conventions have them, and as providers do.
fn parts() -> Vec<Value> {
    vec![
        json!({"type": "text", "content": "hi"}),
        json!({"type": "text", "text": "hi"}),
        json!({"type": "reasoning", "content": "hm"}),
        json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}),
        json!({"type": "thinking", "thinking": "hm", "signature": "x"}),
        json!({"type": "tool_call", "id": "1", "name": "shell", "arguments": {}}),
        json!({"type": "tool_use", "id": "1", "name": "shell", "input": {}}),
        json!({"type": "tool_call_response", "id": "1", "response": "ok"}),
        json!({"type": "tool_result", "tool_use_id": "1", "content": "ok"}),
        json!({"type": "server_tool_call", "name": "web", "server_tool_call": {"type": "search"}}),
        json!({"type": "server_tool_call_response", "server_tool_call_response": {"type": "found"}}),
        json!({"type": "blob", "modality": "image", "mime_type": "image/png", "content": "aGk="}),
        json!({"type": "image", "source": {"type": "base64", "data": "aGk="}}),
        json!({"type": "image", "source": {"type": "url", "url": "data:nonsense"}}),
        json!({"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}),
        json!({"type": "input_audio", "input_audio": {"data": "aGk="}}),
        json!({"type": "file", "modality": "image", "file_id": "1"}),
        json!({"type": "file", "file": {"file_id": "1"}}),
        json!({"type": "uri", "modality": "image", "uri": "https://example.org/cat.png"}),
    ]
}

/// All of them, and each also without each of its fields, and with each as what it should not be.
fn broken_parts() -> Vec<Value> {
    let mut all = vec![
        json!(null),
        json!([]),
        json!({}),
        json!("text"),
        json!({"type": 7}),
    ];
    for whole in parts() {
        for field in whole.as_object().unwrap().keys() {
            let mut part = whole.clone();
            part.as_object_mut().unwrap().remove(field);
            all.push(part);
            for wrong in [json!(null), json!(7), json!({})] {
                let mut part = whole.clone();
                part[field] = wrong;
                all.push(part);
            }
        }
        all.push(whole);
    }
    all
}

#[tokio::test]
async fn whatever_providers_call_a_block() {
    let fixture = fixture(Capture::SpanAndEvent);
    let params = ModelParams::new().with_tools([
        json!({"type": "web_search"}),
        json!({"type": "function", "function": {}}),
        json!({}),
        json!(7),
    ]);
    let chat = [
        Message::human(broken_parts()).with_name("ada"),
        Message::tool(broken_parts(), "1"),
        Message::ai(broken_parts()).with_tool_calls([ToolCall::new("shell", json!(null))]),
    ];
    let run = fixture.callbacks.chat_model_start(&WHO, &chat);
    let run = run.params(&params).await.unwrap();
    let choices = vec![
        Generation::from_message(Message::ai(broken_parts())),
        Generation::new(""),
    ];
    run.end(|| LlmResult::new(vec![choices])).await.unwrap();
    assert_eq!(assert_valid(&fixture), 2 * 3);

    // What is whole stays what it is.
    let span = fixture.span("chat");
    let input = span.attributes.iter();
    let mut input = input.filter(|pair| pair.key.as_str() == names::GEN_AI_INPUT_MESSAGES);
    let input = input.next().unwrap().value.to_string();
    let input: Value = serde_json::from_str(&input).unwrap();
    let kept = input[0]["parts"].as_array().unwrap();
    let known = ["text", "reasoning", "tool_call", "blob", "file", "uri"];
    for part in parts() {
        let kind = part["type"].as_str().unwrap();
        let is_theirs = known.contains(&kind) || kind.contains("tool_call");
        let is_ours = part
            .get("text")
            .or(part.get("summary"))
            .or(part.get("file"));
        if is_theirs && is_ours.is_none() {
            assert!(kept.contains(&part), "{part}");
        }
    }
}
