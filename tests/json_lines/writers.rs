//! Who writes: several run trees at once, handlers in the background, one `JsonLines` after another.

use std::collections::HashMap;
use std::fs;
use std::sync::mpsc;
use std::time::Duration;

use callbacks::handlers::json_lines::{RecordingError, SyncData};
use callbacks::handlers::{JsonLines, RunTrees, replay};
use callbacks::testing::{Recorded, Recorder};
use callbacks::{Callbacks, LlmResult, Queue, Record, RunId, handler};
use callbacks_tests::{MODEL, TOOL};
use serde_json::Value;

use crate::{AGENT, by_tree, everything, folder, heard, read, records, text};

/// A tree of two runs and many tokens.
async fn tree(callbacks: Callbacks) {
    let chain = callbacks.chain_start(&AGENT, Value::Null).await.unwrap();
    let model = chain.callbacks().llm_start(&MODEL, Vec::new).await.unwrap();
    for token in 0..50 {
        model.new_token(&token.to_string()).await.unwrap();
    }
    model.end(LlmResult::from_text("text")).await.unwrap();
    chain.end(Value::Null).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn trees_at_once() {
    let (_folder, path) = folder();
    let json_lines = JsonLines::create(&path).unwrap();
    let callbacks = Callbacks::new().with(json_lines.sync_data(SyncData::Never));
    let trees: Vec<_> = (0..16)
        .map(|_| tokio::spawn(tree(callbacks.clone())))
        .collect();
    for tree in trees {
        tree.await.unwrap();
    }
    let mut last = HashMap::new();
    for record in records(&path) {
        let before = last.insert(record.run().root_id(), record.seq());
        assert_eq!(record.seq(), before.unwrap_or(0) + 1);
    }
    assert_eq!(last.into_values().collect::<Vec<_>>(), [54; 16]);
}

/// Whoever reads meanwhile finds whole lines, of runs that are described.
#[tokio::test(flavor = "multi_thread")]
async fn read_while_it_is_written() {
    let (_folder, path) = folder();
    let json_lines = JsonLines::create(&path).unwrap();
    let json_lines = json_lines.sync_data(SyncData::Never);
    let callbacks = Callbacks::new().with(handler(json_lines).inline());
    let trees: Vec<_> = (0..4)
        .map(|_| tokio::spawn(tree(callbacks.clone())))
        .collect();
    let mut there = 0;
    while there < 4 * 54 {
        let now = records(&path).len();
        assert!(now >= there);
        there = now;
        tokio::task::yield_now().await;
    }
    for tree in trees {
        tree.await.unwrap();
    }
}

/// Handlers of a replay hear the same trees as those who were there, though all have one id.
#[tokio::test(flavor = "multi_thread")]
async fn trees_of_one_id_at_once() {
    let (_folder, path) = folder();
    let json_lines = JsonLines::create(&path).unwrap();
    let callbacks = Callbacks::new().with(json_lines.sync_data(SyncData::Never));
    let gather = || {
        let (send, receive) = mpsc::channel();
        let trees = RunTrees::new(move |tree| {
            let runs = tree.runs().iter().map(|run| {
                let notes = run.notes.iter().map(|note| &*note.text);
                format!(
                    "{:?} {} {};",
                    run.parent,
                    run.info.name(),
                    notes.collect::<String>()
                )
            });
            send.send(runs.collect::<String>()).unwrap();
        });
        let sorted = move || {
            let mut all: Vec<_> = receive.try_iter().collect();
            all.sort();
            all
        };
        (trees, sorted)
    };
    let (live, heard_live) = gather();
    let callbacks = callbacks.with(live);
    let trees: Vec<_> = (0..8)
        .map(|tree| tokio::spawn(same_ids(callbacks.clone(), tree)))
        .collect();
    for tree in trees {
        tree.await.unwrap();
    }
    let (again, heard_again) = gather();
    let replayed = replay(&path, &Callbacks::new().with(again)).await.unwrap();
    assert!(replayed.open.is_empty());
    let live = heard_live();
    assert_eq!(live.len(), 8 * 3);
    assert_eq!(heard_again(), live);
}

/// Three trees, one after another, of runs that all have one id.
async fn same_ids(callbacks: Callbacks, tree: usize) {
    for part in 0..3 {
        let start = callbacks
            .chain_start(&AGENT, Value::Null)
            .id(RunId::from(7));
        let outer = start.await.unwrap();
        let start = outer.callbacks().tool_start(&TOOL, "").id(RunId::from(7));
        let inner = start.await.unwrap();
        for text in 0..3 {
            inner.text(&format!("{tree}.{part}.{text}")).await.unwrap();
            outer.text(&format!("outer {tree}")).await.unwrap();
        }
        inner.end(Value::Null).await.unwrap();
        outer.end(Value::Null).await.unwrap();
    }
}

#[tokio::test]
async fn however_it_is_called() {
    for way in ["lane", "inline", "background", "every event synced"] {
        let (_folder, path) = folder();
        let recorder = Recorder::new();
        let json_lines = JsonLines::create(&path).unwrap();
        let json_lines = match way {
            "lane" => handler(json_lines),
            "inline" => handler(json_lines).inline(),
            "background" => handler(json_lines).background(Queue::bounded(1)),
            _ => handler(json_lines.sync_data(SyncData::EveryEvent)),
        };
        let callbacks = Callbacks::new().with(recorder.clone());
        let callbacks = callbacks.with(json_lines.named("json lines"));
        everything(&callbacks).await.unwrap();
        let report = callbacks.flush(Duration::from_secs(60)).await;
        assert!(report.is_complete());
        assert_eq!(report.handler("json lines").unwrap().failed, 0);
        let there = by_tree(records(&path), Record::run);
        let heard = heard(&by_tree(recorder.events(), Recorded::run));
        assert!(read(&there) == heard, "{way}");
    }
}

#[test]
fn a_thread_that_waits() {
    let (_folder, path) = folder();
    let callbacks = Callbacks::new().with(JsonLines::create(&path).unwrap());
    let callbacks = callbacks.blocking();
    let run = callbacks.chain_start(&AGENT, Value::Null).start().unwrap();
    assert_eq!(records(&path).len(), 1);
    run.end(Value::Null).unwrap();
    assert_eq!(records(&path).len(), 2);
}

/// A run that is still open where the file is opened again is described again, and is the same.
#[tokio::test]
async fn a_run_that_goes_on_in_a_file_that_is_opened_again() {
    let (_folder, path) = folder();
    let copy = path.with_extension("copy");
    let recorder = Recorder::new();
    let first = Callbacks::new().with(recorder.clone());
    let first = first.with(JsonLines::create(&path).unwrap());
    let run = first.chain_start(&AGENT, Value::Null).await.unwrap();
    fs::copy(&path, &copy).unwrap();
    let second = run.callbacks().with(JsonLines::open(&copy).unwrap());
    let child = second.tool_start(&TOOL, "").await.unwrap();
    child.end(Value::Null).await.unwrap();
    run.end(Value::Null).await.unwrap();
    // The second one has not heard the end.
    let whole = text(&path);
    let end = whole.lines().last().unwrap();
    fs::write(&copy, text(&copy) + end + "\n").unwrap();
    assert_eq!(text(&copy).matches("\"started_at\"").count(), 3);
    assert_eq!(read(&records(&copy)), heard(&recorder.take()));

    let (send, trees) = mpsc::channel();
    let gather = RunTrees::new(move |tree| send.send(tree.runs().len()).unwrap());
    let callbacks = Callbacks::new().with(recorder.clone()).with(gather);
    let replayed = replay(&copy, &callbacks).await.unwrap();
    assert!(replayed.open.is_empty());
    recorder.assert_balanced();
    assert_eq!(trees.try_iter().collect::<Vec<_>>(), [2]);
}

#[cfg(not(windows))]
#[test]
fn a_file_has_one_writer() {
    let (_folder, path) = folder();
    let json_lines = JsonLines::create(&path).unwrap();
    let second = JsonLines::open(&path).unwrap_err();
    assert!(matches!(second, RecordingError::InUse { .. }), "{second}");
    drop(json_lines);
    JsonLines::open(&path).unwrap();
}
