//! Content is recorded where the user says so, in the conventions' JSON, and nowhere else.

#[path = "common/told.rs"]
#[allow(dead_code, unreachable_pub, reason = "other tests share it")]
mod told;

use std::collections::BTreeMap;

use callbacks::{Document, Generation, LlmResult, Message, ModelParams, RunError, ToolCall};
use callbacks_otel::Capture;
use opentelemetry::logs::Severity;
use opentelemetry::trace::Status;
use opentelemetry_sdk::trace::{Sampler, SpanData};
use serde_json::{Value, json};
use told::{WHO, everything, fixture, fixture_with};

/// What a span has under this name, read as JSON.
fn content(span: &SpanData, name: &str) -> Value {
    let attribute = span
        .attributes
        .iter()
        .find(|pair| pair.key.as_str() == name);
    let text = attribute
        .unwrap_or_else(|| panic!("no {name}"))
        .value
        .as_str();
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn by_default_nothing_is_said() {
    let fixture = fixture_with(Sampler::AlwaysOn, callbacks_otel::Builder::build);
    everything(&fixture.callbacks).await.unwrap();
    let spans = fixture.spans.get_finished_spans().unwrap();
    assert_eq!(spans.len(), 7);
    assert!(!format!("{spans:?}").contains("secret"));
    assert!(fixture.events().is_empty());
}

#[tokio::test]
async fn events_without_content_have_none() {
    let fixture = fixture_with(Sampler::AlwaysOn, |builder| builder.events(true).build());
    everything(&fixture.callbacks).await.unwrap();
    let events = fixture.events();
    assert_eq!(events.len(), 3);
    assert!(!format!("{events:?}").contains("secret"));
    let spans = fixture.spans.get_finished_spans().unwrap();
    assert!(!format!("{spans:?}").contains("secret"));
}

#[tokio::test]
async fn where_content_is() {
    for (capture, on_spans, on_events) in [
        (Capture::NoContent, false, false),
        (Capture::SpanOnly, true, false),
        (Capture::EventOnly, false, true),
        (Capture::SpanAndEvent, true, true),
    ] {
        let fixture = fixture(capture);
        everything(&fixture.callbacks).await.unwrap();
        for span in fixture.spans.get_finished_spans().unwrap() {
            // The conventions have no name for a step.
            let expected = on_spans && span.name != "step";
            let secret = format!("{span:?}").contains("secret");
            assert_eq!(secret, expected, "{capture:?}: {span:#?}");
        }
        let events = fixture.events();
        assert_eq!(events.len(), if on_events { 3 } else { 0 }, "{capture:?}");
        for event in events {
            assert!(format!("{event:?}").contains("secret"), "{event:?}");
        }
    }
}

/// A chat with all that a message can have, and what it is in the conventions' JSON.
fn chat() -> ([Message; 4], Value) {
    let chat = [
        Message::system("be nice"),
        Message::human(vec![
            json!("look: "),
            json!({"type": "text", "text": "this"}),
            json!({"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}),
            json!({"type": "image_url", "image_url": "data:image/png;base64,aGk="}),
            json!({"type": "image", "source":
                {"type": "base64", "media_type": "image/jpeg", "data": "aGk="}}),
            json!({"type": "input_audio", "input_audio": {"format": "wav", "data": "aGk="}}),
            json!({"type": "thinking", "thinking": "hm"}),
            json!({"type": "document", "title": "of its own"}),
            json!(7),
        ])
        .with_name("ada"),
        Message::ai("")
            .with_extra("reasoning", "well")
            .with_tool_calls([ToolCall::new("weather", json!({"city": "Rome"})).with_id("1")]),
        Message::tool("sunny", "1"),
    ];
    let json = json!([
        {"role": "system", "parts": [{"type": "text", "content": "be nice"}]},
        {"role": "user", "name": "ada", "parts": [
            {"type": "text", "content": "look: "},
            {"type": "text", "content": "this"},
            {"type": "uri", "modality": "image", "uri": "https://example.org/cat.png"},
            {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "aGk="},
            {"type": "blob", "modality": "image", "mime_type": "image/jpeg", "content": "aGk="},
            {"type": "blob", "modality": "audio", "mime_type": "audio/wav", "content": "aGk="},
            {"type": "reasoning", "content": "hm"},
            {"type": "document", "title": "of its own"},
            {"type": "unknown", "content": 7},
        ]},
        {"role": "assistant", "parts": [
            {"type": "reasoning", "content": "well"},
            {"type": "tool_call", "id": "1", "name": "weather", "arguments": {"city": "Rome"}},
        ]},
        {"role": "tool", "parts": [
            {"type": "tool_call_response", "id": "1", "response": "sunny"},
        ]},
    ]);
    (chat, json)
}

/// Blocks that have the name of a part of the conventions, or no type at all, and are something else.
#[tokio::test]
async fn what_looks_like_a_part_is_one() {
    let strange = [
        json!({"type": "text"}),
        json!({"type": "file", "file": {"file_id": "1"}}),
        json!({"type": "tool_call", "arguments": {}}),
        json!({"type": "image_url", "image_url": "data:nonsense"}),
        json!({"type": 7}),
        json!({"text": "no type"}),
        json!(["a list"]),
        json!(null),
        json!({"type": "text", "content": "in their words"}),
        json!({"type": "uri", "modality": "video", "uri": "https://example.org"}),
    ];
    let fixture = fixture(Capture::SpanOnly);
    let chat = [Message::human(strange.to_vec())];
    let run = fixture.callbacks.chat_model_start(&WHO, &chat);
    let choice = Generation::from_message(chat[0].clone());
    let result = LlmResult::new(vec![vec![choice]]);
    run.await.unwrap().end(&result).await.unwrap();

    let unknown = |block: &Value| json!({"type": "unknown", "content": block});
    let mut parts: Vec<_> = strange.iter().map(unknown).collect();
    // A type of its own is all that is asked of other parts.
    parts[3] = strange[3].clone();
    parts[8..].clone_from_slice(&strange[8..]);
    let span = fixture.span("chat");
    for (name, reason) in [
        ("gen_ai.input.messages", false),
        ("gen_ai.output.messages", true),
    ] {
        let messages = content(&span, name);
        assert_eq!(messages[0]["role"], "user", "{name}");
        assert_eq!(messages[0]["parts"], json!(parts), "{name}");
        assert_eq!(messages[0]["finish_reason"].is_string(), reason, "{name}");
    }
}

#[tokio::test]
async fn a_chat_on_its_span_and_in_its_event() {
    let fixture = fixture(Capture::SpanAndEvent);
    let (chat, input) = chat();
    let params = ModelParams::new().with_model("m").with_tools([
        json!({"type": "function", "function": {"name": "weather", "parameters": {}}}),
        json!({"name": "shell", "input_schema": {}}),
        json!({"type": "web_search"}),
    ]);
    let run = fixture.callbacks.chat_model_start(&WHO, &chat);
    let run = run.params(&params).await.unwrap();
    let choices = vec![
        Generation::from_message(Message::ai("fine")).with_finish_reason("end_turn"),
        Generation::new("cut").with_finish_reason("max_tokens"),
        Generation::new("unsaid"),
    ];
    run.end(|| LlmResult::new(vec![choices])).await.unwrap();

    let output = json!([
        {"role": "assistant", "parts": [{"type": "text", "content": "fine"}],
            "finish_reason": "stop"},
        {"role": "assistant", "parts": [{"type": "text", "content": "cut"}],
            "finish_reason": "length"},
        {"role": "assistant", "parts": [{"type": "text", "content": "unsaid"}],
            "finish_reason": "unknown"},
    ]);
    let tools = json!([
        {"type": "function", "name": "weather"},
        {"type": "function", "name": "shell"},
        {"type": "web_search", "name": "web_search"},
    ]);
    let span = fixture.span("chat m");
    assert_eq!(content(&span, "gen_ai.input.messages"), input);
    assert_eq!(content(&span, "gen_ai.output.messages"), output);
    assert_eq!(content(&span, "gen_ai.tool.definitions"), tools);

    let details = (
        "gen_ai.client.inference.operation.details",
        Severity::Debug,
        span.span_context.span_id(),
        BTreeMap::from(
            [
                ("gen_ai.operation.name", json!("chat")),
                ("gen_ai.provider.name", json!("_OTHER")),
                ("gen_ai.request.model", json!("m")),
                (
                    "gen_ai.response.finish_reasons",
                    json!(["end_turn", "max_tokens", "unknown"]),
                ),
                ("gen_ai.input.messages", input),
                ("gen_ai.output.messages", output),
                ("gen_ai.tool.definitions", tools),
            ]
            .map(|(key, value)| (key.to_owned(), value)),
        ),
    );
    assert_eq!(fixture.events(), [details]);
}

#[tokio::test]
async fn what_failed_has_what_had_arrived() {
    let fixture = fixture(Capture::SpanAndEvent);
    let run = fixture.callbacks.llm_start(&WHO, || vec!["hi".to_owned()]);
    let partial = LlmResult::from_text("ha");
    let run = run.await.unwrap().error(RunError::new("no route"));
    run.partial(&partial).await.unwrap();
    let span = fixture.span("text_completion");
    assert_eq!(span.status, Status::error("no route"));
    let input = json!([{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]);
    let output = json!([{"role": "assistant", "parts": [{"type": "text", "content": "ha"}],
        "finish_reason": "error"}]);
    assert_eq!(content(&span, "gen_ai.input.messages"), input);
    assert_eq!(content(&span, "gen_ai.output.messages"), output);
    let [failed, details] = &fixture.events()[..] else {
        panic!("{:?}", fixture.events());
    };
    let attributes = [
        ("exception.message", json!("no route")),
        ("exception.type", json!("_OTHER")),
    ];
    let attributes = attributes.map(|(key, value)| (key.to_owned(), value));
    let expected = (
        "gen_ai.client.operation.exception",
        Severity::Warn,
        span.span_context.span_id(),
        BTreeMap::from(attributes),
    );
    assert_eq!(*failed, expected);
    assert_eq!(details.3["error.type"], "_OTHER");
    assert_eq!(details.3["gen_ai.output.messages"], output);
}

#[tokio::test]
async fn tools_searches_and_chains() {
    let fixture = fixture(Capture::SpanOnly);
    let callbacks = &fixture.callbacks;
    let inputs = json!({"city": "Rome"});
    let run = callbacks
        .tool_start(&WHO, "as text")
        .inputs(&inputs)
        .name("a");
    run.await.unwrap().end(&json!({"sun": 1})).await.unwrap();
    let run = callbacks.tool_start(&WHO, "Rome").name("b");
    run.await.unwrap().end(&json!("sunny")).await.unwrap();
    let run = callbacks.retriever_start(&WHO, "cats").await.unwrap();
    let documents = [
        Document::new("meow").with_id("1").with_score(0.5),
        Document::new("purr").with_metadata("page", 2),
    ];
    run.end(&documents).await.unwrap();
    let run = callbacks.chain_start(&WHO, &json!("go")).await.unwrap();
    run.end(&json!({"made": 1})).await.unwrap();

    let span = fixture.span("execute_tool a");
    let arguments = content(&span, "gen_ai.tool.call.arguments");
    assert_eq!(arguments, json!({"city": "Rome"}));
    let result = content(&span, "gen_ai.tool.call.result");
    assert_eq!(result, json!({"sun": 1}));
    let span = fixture.span("execute_tool b");
    let text = |name| {
        let pair = span
            .attributes
            .iter()
            .find(|pair| pair.key.as_str() == name);
        pair.unwrap().value.to_string()
    };
    assert_eq!(text("gen_ai.tool.call.arguments"), "Rome");
    assert_eq!(text("gen_ai.tool.call.result"), "sunny");
    let span = fixture.span("retrieval");
    let documents = json!([
        {"id": "1", "score": 0.5, "content": "meow"},
        {"content": "purr", "metadata": {"page": 2}},
    ]);
    let found = content(&span, "gen_ai.retrieval.documents");
    assert_eq!(found, documents);
    let span = fixture.span("invoke_workflow who");
    let input = json!([{"role": "user", "parts": [{"type": "text", "content": "go"}]}]);
    assert_eq!(content(&span, "gen_ai.input.messages"), input);
    let output = json!([{"role": "assistant", "finish_reason": "stop",
        "parts": [{"type": "text", "content": "{\"made\":1}"}]}]);
    assert_eq!(content(&span, "gen_ai.output.messages"), output);
}

#[tokio::test]
async fn events_are_there_whatever_is_sampled() {
    let fixture = fixture_with(Sampler::AlwaysOff, |builder| {
        builder.capture(Capture::SpanAndEvent).build()
    });
    everything(&fixture.callbacks).await.unwrap();
    assert!(fixture.spans.get_finished_spans().unwrap().is_empty());
    assert_eq!(fixture.events().len(), 3);
}
