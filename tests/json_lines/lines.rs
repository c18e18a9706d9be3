//! What the lines say.

use std::collections::BTreeSet;

use callbacks::events::{Events, LlmStart};
use callbacks::handlers::JsonLines;
use callbacks::testing::Recorder;
use callbacks::{Callbacks, Event, EventSet, Interests, LlmResult, Record, handler};
use callbacks_tests::{MODEL, TOOL};
use serde_json::{Value, json};

use crate::{AGENT, everything, folder, heard, read, records, text};

#[tokio::test]
async fn every_event_comes_back() {
    let (_folder, path) = folder();
    let recorder = Recorder::new();
    let callbacks = Callbacks::new()
        .with(recorder.clone())
        .with(JsonLines::create(&path).unwrap())
        .tag("prod")
        .metadata("user", "42");
    everything(&callbacks).await.unwrap();
    let records = records(&path);
    assert_eq!(read(&records), heard(&recorder.events()));
    let seen: BTreeSet<_> = records.iter().map(Record::method).collect();
    let all = Events::METHODS.iter().copied();
    let all = all.filter(|method| !method.ends_with("_request"));
    assert_eq!(seen, all.collect());
    assert!(records.is_sorted_by_key(Record::time));
}

/// What others read.
#[tokio::test]
async fn the_lines() {
    let (_folder, path) = folder();
    let callbacks = Callbacks::new().with(JsonLines::create(&path).unwrap());
    let callbacks = callbacks.tag("prod").metadata("user", "42");
    let chain = callbacks.chain_start(&AGENT, json!("in")).await.unwrap();
    let chain_id = chain.id().to_string();
    let tool = chain.callbacks().tool_start(&TOOL, "1 + 1").await.unwrap();
    let tool_id = tool.id().to_string();
    tool.end(json!(2)).await.unwrap();
    let text = text(&path);
    let mut lines = text.lines();
    let header = r#"{"schema":"callbacks.json_lines","version":1}"#;
    assert_eq!(lines.next(), Some(header));
    let timeless = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        assert!(line["time"].take().is_u64());
        if let Some(started_at) = line["run"].get_mut("started_at") {
            assert!(started_at.take().is_u64());
        }
        line
    };
    let shown: Vec<Value> = lines.map(timeless).collect();
    let labels = (["prod"], json!({ "user": "42" }));
    assert_eq!(
        shown,
        [
            json!({
                "seq": 1,
                "time": null,
                "run": {
                    "id": chain_id, "root_id": chain_id, "kind": "chain", "name": "Agent",
                    "tags": labels.0, "metadata": labels.1, "started_at": null,
                },
                "event": { "ChainStart": { "serialized": { "name": "Agent" }, "inputs": "in" } },
            }),
            json!({
                "seq": 2,
                "time": null,
                "run": {
                    "id": tool_id, "parent_id": chain_id, "root_id": chain_id, "kind": "tool",
                    "name": "Tool", "tags": labels.0, "metadata": labels.1, "started_at": null,
                },
                "event": { "ToolStart": {
                    "serialized": { "name": "Tool" }, "input": "1 + 1", "inputs": null,
                    "tool_call_id": null,
                } },
            }),
            json!({
                "seq": 3,
                "time": null,
                "run": { "id": tool_id },
                "event": { "ToolEnd": { "output": 2, "tool_call_id": null } },
            }),
        ]
    );
}

/// Where the starts are not heard, runs are described all the same, with those around them.
#[tokio::test]
async fn runs_are_described_where_they_first_appear() {
    let (_folder, path) = folder();
    let recorder = Recorder::new();
    let heard_here = Interests::LLM.without(Interests::of(&[LlmStart::INDEX]));
    let callbacks = Callbacks::new()
        .with(handler(recorder.clone()).only(heard_here))
        .with(handler(JsonLines::create(&path).unwrap()).only(heard_here));
    let outer = callbacks.chain_start(&AGENT, Value::Null).await.unwrap();
    let inner = outer.callbacks().tag("inner");
    let inner = inner.chain_start(&AGENT, Value::Null).await.unwrap();
    for _ in 0..2 {
        let model = inner.callbacks().llm_start(&MODEL, Vec::new).await.unwrap();
        model.new_token("token").await.unwrap();
        model.end(LlmResult::from_text("text")).await.unwrap();
    }
    assert_eq!(read(&records(&path)), heard(&recorder.events()));
    assert_eq!(text(&path).matches("\"parents\"").count(), 1);
    assert_eq!(text(&path).matches("\"started_at\"").count(), 4);
}
