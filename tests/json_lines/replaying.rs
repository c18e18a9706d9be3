//! Replay: the handlers hear what they would have heard, with the original ids and order.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use callbacks::handlers::json_lines::replay_blocking;
use callbacks::handlers::{JsonLines, replay};
use callbacks::testing::{Recorded, Recorder};
use callbacks::{Callbacks, Decision, EmitError, Queue, callback_handler, handler};
use callbacks_tests::TOOL;
use serde_json::{Value, json};

use crate::{AGENT, by_tree, everything, folder, heard, read, records, text};

#[tokio::test]
async fn what_was_heard_is_heard_again() {
    let (_folder, path) = folder();
    let original = Recorder::new();
    let callbacks = Callbacks::new()
        .with(original.clone())
        .with(JsonLines::create(&path).unwrap());
    everything(&callbacks.tag("prod")).await.unwrap();
    everything(&callbacks.metadata("user", 42)).await.unwrap();
    let expected = heard(&original.events());
    let expected_by_tree = heard(&by_tree(original.events(), Recorded::run));

    let all = [(); 4].map(|()| Recorder::new());
    let [lane, inline, asynchronous, background] = all.clone();
    let queued = background.clone();
    let callbacks = Callbacks::new()
        .with(lane)
        .with(handler(inline).inline())
        .with(asynchronous.asynchronous())
        .with(handler(background).background(Queue::bounded(1)))
        .tag("not of the recording");
    let replayed = replay(&path, &callbacks).await.unwrap();
    assert!(callbacks.flush(Duration::from_secs(60)).await.is_complete());
    for recorder in &all[..3] {
        assert!(heard(&recorder.events()) == expected);
    }
    assert!(heard(&by_tree(queued.events(), Recorded::run)) == expected_by_tree);
    assert_eq!(replayed.events, expected.len() as u64);
    assert!(replayed.open.is_empty() && !replayed.torn && replayed.lost == 0);

    let again = Recorder::new();
    replay_blocking(&path, &Callbacks::new().with(again.clone())).unwrap();
    assert_eq!(heard(&again.events()), expected);
}

/// A recording of a replay says the same.
#[tokio::test]
async fn a_recording_of_a_replay() {
    let (_folder, path) = folder();
    let callbacks = Callbacks::new().with(JsonLines::create(&path).unwrap());
    everything(&callbacks).await.unwrap();
    let copy = path.with_extension("copy");
    let callbacks = Callbacks::new().with(JsonLines::create(&copy).unwrap());
    replay(&path, &callbacks).await.unwrap();
    let line = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let lines = |path| text(path).lines().map(line).collect::<Vec<_>>();
    assert_eq!(lines(&copy), lines(&path));
}

/// Inline handlers of emissions that overlap may be called in another order. Numbers grow all the same.
#[tokio::test]
async fn numbers_grow_in_any_order_of_the_lines() {
    let (_folder, path) = folder();
    let callbacks = Callbacks::new().with(JsonLines::create(&path).unwrap());
    let run = callbacks.chain_start(&AGENT, Value::Null).await.unwrap();
    run.text("one").await.unwrap();
    run.text("two").await.unwrap();
    run.end(Value::Null).await.unwrap();
    let whole = text(&path);
    let mut lines: Vec<&str> = whole.lines().collect();
    lines.swap(2, 3);
    // One that was not recorded makes room for the others.
    let end = lines[4].replacen("\"seq\":4", "\"seq\":9", 1);
    lines[4] = &end;
    let other = path.with_extension("other");
    fs::write(&other, lines.join("\n") + "\n").unwrap();
    let (recorder, queued) = (Recorder::new(), Recorder::new());
    let callbacks = Callbacks::new()
        .with(recorder.clone())
        .with(handler(queued.clone()).background(Queue::bounded(1)));
    replay(&other, &callbacks).await.unwrap();
    assert!(callbacks.flush(Duration::from_secs(60)).await.is_complete());
    for recorder in [recorder, queued] {
        let events = recorder.events();
        let seqs: Vec<u64> = events.iter().map(Recorded::seq).collect();
        assert_eq!(seqs, [1, 3, 4, 9]);
        assert!(format!("{:?}", events[1].event()).contains("two"));
        recorder.assert_balanced();
        recorder.assert_in_order();
    }
}

struct No;

#[callback_handler]
impl No {
    fn on_tool_request(&self) -> Decision<String, Value> {
        Decision::Stop("no".to_owned())
    }
}

#[tokio::test]
async fn nobody_is_asked_and_local_handlers_hear_the_roots() {
    let (_folder, path) = folder();
    let callbacks = Callbacks::new().with(JsonLines::create(&path).unwrap());
    let chain = callbacks.chain_start(&AGENT, Value::Null).await.unwrap();
    let tool = chain.callbacks().tool_start(&TOOL, "1").await.unwrap();
    tool.end(json!(1)).await.unwrap();
    chain.end(Value::Null).await.unwrap();

    let (all, local) = (Recorder::new(), Recorder::new());
    let callbacks = Callbacks::new().with(No).with(all.clone());
    let callbacks = callbacks.with_local(local.clone());
    replay(&path, &callbacks).await.unwrap();
    assert_eq!(heard(&all.events()), read(&records(&path)));
    let methods: Vec<_> = local.events().iter().map(Recorded::method).collect();
    assert_eq!(methods, ["on_chain_start", "on_chain_end"]);
}

/// What was stopped by a decision was started and ended.
#[tokio::test]
async fn a_run_that_was_stopped() {
    let (_folder, path) = folder();
    let original = Recorder::new();
    let callbacks = Callbacks::new()
        .with(JsonLines::create(&path).unwrap())
        .with(original.clone())
        .with(No);
    let stopped = callbacks.tool_start(&TOOL, "rm").await.unwrap_err();
    assert!(matches!(stopped, EmitError::Stopped { .. }));
    let recorder = Recorder::new();
    let callbacks = Callbacks::new().with(recorder.clone()).with(No);
    replay(&path, &callbacks).await.unwrap();
    assert_eq!(heard(&recorder.events()), heard(&original.events()));
    assert_eq!(recorder.len(), 2);
}

/// A handler that replayed to itself would be called inside of itself.
struct Nested(PathBuf, Arc<Mutex<Option<String>>>);

#[callback_handler]
impl Nested {
    async fn on_chain_start(&self) {
        let replayed = replay(&self.0, &Callbacks::new().with(Recorder::new())).await;
        *self.1.lock().unwrap() = Some(replayed.unwrap_err().to_string());
    }
}

#[tokio::test]
async fn not_inside_a_callback() {
    let (_folder, path) = folder();
    let callbacks = Callbacks::new().with(JsonLines::create(&path).unwrap());
    everything(&callbacks).await.unwrap();
    let error = Arc::default();
    let callbacks = Callbacks::new().with(Nested(path, Arc::clone(&error)));
    let run = callbacks.chain_start(&AGENT, Value::Null).await.unwrap();
    run.end(Value::Null).await.unwrap();
    let error = error.lock().unwrap().take().unwrap();
    assert!(error.contains("spawn a task"), "{error}");
}
