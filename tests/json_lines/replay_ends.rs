//! Each run that a replay starts ends: where the recording stops in the middle, where a handler stops the
//! replay, where it is dropped.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use callbacks::events::{AnyEvent, ChainEnd, ToolEnd};
use callbacks::handlers::json_lines::{ReplayError, Replayed, replay_blocking};
use callbacks::handlers::{JsonLines, replay};
use callbacks::testing::{Faulty, Recorded, Recorder, assert_events};
use callbacks::{
    BoxError, Callbacks, EmitError, ErrorKind, Event, Interests, LlmResult, Queue, RunInfo,
    callback_handler, handler,
};
use callbacks_tests::{MODEL, TOOL};
use futures_util::poll;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::{AGENT, everything, folder, text};

/// Lines of a run in a run in a run, each of which has a text; the ends are the last three.
async fn nested(path: &PathBuf) -> Vec<String> {
    let callbacks = Callbacks::new().with(JsonLines::create(path).unwrap());
    let agent = callbacks.chain_start(&AGENT, Value::Null).await.unwrap();
    let tool = agent.callbacks().tool_start(&TOOL, "").await.unwrap();
    let model = tool.callbacks().llm_start(&MODEL, Vec::new).await.unwrap();
    model.text("model").await.unwrap();
    tool.text("tool").await.unwrap();
    agent.text("agent").await.unwrap();
    model.end(LlmResult::default()).await.unwrap();
    tool.end(json!(1)).await.unwrap();
    agent.end(Value::Null).await.unwrap();
    drop(callbacks);
    text(path).lines().map(str::to_owned).collect()
}

/// Another recording, of these lines.
fn other(path: &Path, lines: &[String]) -> PathBuf {
    let other = path.with_extension("other");
    fs::write(&other, lines.join("\n") + "\n").unwrap();
    other
}

fn error_kind(event: &Recorded) -> Option<ErrorKind> {
    match event.event() {
        AnyEvent::LlmError(event) => Some(event.error.kind),
        AnyEvent::ToolError(event) => Some(event.error.kind),
        AnyEvent::ChainError(event) => Some(event.error.kind),
        _ => None,
    }
}

#[tokio::test]
async fn where_the_program_was_stopped() {
    let (_folder, path) = folder();
    let callbacks = Callbacks::new().with(JsonLines::create(&path).unwrap());
    let chain = callbacks.chain_start(&AGENT, Value::Null).await.unwrap();
    let done = chain.callbacks().tool_start(&TOOL, "done").await.unwrap();
    let model = chain.callbacks().llm_start(&MODEL, Vec::new).await.unwrap();
    done.end(json!(1)).await.unwrap();
    let crashed = text(&path) + "{\"lost\":3}\n{\"seq\":7,";
    let ids = [chain.id(), model.id()];
    model.end(LlmResult::default()).await.unwrap();
    chain.end(Value::Null).await.unwrap();
    let crash = path.with_extension("crash");
    fs::write(&crash, crashed).unwrap();

    for blocking in [false, true] {
        let recorder = Recorder::new();
        let callbacks = Callbacks::new().with(recorder.clone());
        let replayed = if blocking {
            replay_blocking(&crash, &callbacks).unwrap()
        } else {
            replay(&crash, &callbacks).await.unwrap()
        };
        let open: Vec<_> = replayed.open.iter().map(RunInfo::id).collect();
        assert_eq!(open, ids);
        let Replayed {
            events, lost, torn, ..
        } = replayed;
        assert_eq!((events, lost, torn), (4, 3, true));
        let events = recorder.events();
        assert_events!(
            events,
            [
                ChainStart, ToolStart, LlmStart, ToolEnd, LlmError, ChainError
            ]
        );
        let kinds: Vec<_> = events.iter().filter_map(error_kind).collect();
        assert_eq!(kinds, [ErrorKind::Dropped; 2]);
        assert_eq!(
            events.iter().map(Recorded::seq).collect::<Vec<_>>(),
            [1, 2, 3, 4, 5, 6]
        );
        recorder.assert_balanced();
    }
}

/// Wherever it is cut.
#[tokio::test]
async fn where_the_recording_is_cut() {
    let (_folder, path) = folder();
    let callbacks = Callbacks::new().with(JsonLines::create(&path).unwrap());
    everything(&callbacks).await.unwrap();
    drop(callbacks);
    let lines: Vec<_> = text(&path).lines().map(str::to_owned).collect();
    for cut in 1..=lines.len() {
        let recorder = Recorder::new();
        let callbacks = Callbacks::new().with(recorder.clone());
        let replayed = replay(other(&path, &lines[..cut]), &callbacks)
            .await
            .unwrap();
        recorder.assert_balanced();
        recorder.assert_in_order();
        assert_eq!(recorder.len(), cut - 1 + replayed.open.len());
    }
}

struct Limit;

#[callback_handler]
impl Limit {
    fn on_text(&self, text: &str) -> Result<(), BoxError> {
        Err(text.into())
    }
}

#[tokio::test]
async fn where_an_error_is_raised() {
    let (_folder, path) = folder();
    let callbacks = Callbacks::new().with(JsonLines::create(&path).unwrap());
    let run = callbacks.chain_start(&AGENT, Value::Null).await.unwrap();
    run.text("enough").await.unwrap();
    let id = run.id();
    run.end(Value::Null).await.unwrap();
    let recorder = Recorder::new();
    let callbacks = Callbacks::new().with(recorder.clone());
    let strict = callbacks.with(handler(Limit).raise_errors());
    for blocking in [false, true] {
        let stopped = if blocking {
            replay_blocking(&path, &strict)
        } else {
            replay(&path, &strict).await
        };
        match stopped.unwrap_err() {
            ReplayError::Stopped { seq, run, source } => {
                assert_eq!((seq, run), (2, id));
                assert!(matches!(source, EmitError::Raised { .. }));
            }
            error => panic!("{error}"),
        }
        assert_events!(recorder.take(), [ChainStart, Text, ChainError]);
    }
    replay(&path, &callbacks.with(Limit)).await.unwrap();
    assert_events!(recorder, [ChainStart, Text, ChainEnd]);
}

/// An error that nobody can drop.
#[derive(Debug)]
struct Undying;

impl std::fmt::Display for Undying {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not dropped yet")
    }
}

impl std::error::Error for Undying {}

impl Drop for Undying {
    fn drop(&mut self) {
        panic!("it does not want to be dropped");
    }
}

/// A start that raises, an end that raises, and what raises again where the rest is closed.
#[tokio::test]
async fn whatever_raises() {
    let (_folder, path) = folder();
    nested(&path).await;
    for at in 1..=9 {
        let recorder = Recorder::new();
        let calls = AtomicUsize::new(0);
        let strict = Faulty::calling(move |_| match calls.fetch_add(1, Ordering::SeqCst) + 1 {
            call if call < at => Ok(()),
            call if call == at => Err(BoxError::from("enough")),
            _ => Err(Undying.into()),
        });
        let callbacks = Callbacks::new()
            .with(handler(strict).raise_errors())
            .with(recorder.clone());
        match replay(&path, &callbacks).await.unwrap_err() {
            ReplayError::Stopped { seq, .. } => assert_eq!(seq, at as u64),
            error => panic!("{error}"),
        }
        recorder.assert_balanced();
    }
}

/// The replay is dropped while it waits for its handler, at each event in turn.
#[tokio::test]
async fn where_it_is_dropped() {
    let (_folder, path) = folder();
    nested(&path).await;
    for at in 1..=9 {
        let recorder = Recorder::new();
        let (calls, gate) = (AtomicUsize::new(0), Arc::new(Notify::new()));
        let waits = Faulty::calling_async({
            let gate = gate.clone();
            move |_| {
                let call = calls.fetch_add(1, Ordering::SeqCst) + 1;
                let gate = gate.clone();
                async move {
                    if call == at {
                        gate.notified().await;
                    }
                }
            }
        });
        let callbacks = Callbacks::new().with(recorder.clone()).with(waits);
        let mut replayed = Box::pin(replay(&path, &callbacks));
        while recorder.len() < at {
            assert!(poll!(&mut replayed).is_pending());
            tokio::task::yield_now().await;
        }
        assert!(poll!(&mut replayed).is_pending());
        drop(replayed);
        gate.notify_one();
        let events = recorder.until(|events| {
            let ended = |event: &&Recorded| {
                let method = event.method();
                method.ends_with("_end") || method.ends_with("_error")
            };
            let starts = events
                .iter()
                .filter(|event| event.method().ends_with("_start"));
            events.iter().filter(ended).count() == starts.count()
        });
        let events = events.await;
        recorder.assert_balanced();
        let dropped = events.iter().filter_map(error_kind);
        let dropped = dropped.filter(|kind| *kind == ErrorKind::Dropped).count();
        // An end that has begun goes on.
        assert_eq!(dropped, at.min(3) - at.saturating_sub(6));
    }
}

/// Wherever its task is aborted, on another thread.
#[tokio::test(flavor = "multi_thread")]
async fn where_its_task_is_aborted() {
    let (_folder, path) = folder();
    nested(&path).await;
    for at in 0..10 {
        let (recorder, later) = (Recorder::new(), Recorder::new());
        let callbacks = Callbacks::new()
            .with(recorder.clone())
            .with(handler(later.clone()).background(Queue::bounded(1)))
            .with(Faulty::calling_async(|_| tokio::task::yield_now()));
        let (again, path) = (callbacks.clone(), path.clone());
        let replayed = tokio::spawn(async move { replay(&path, &again).await });
        while recorder.len() < at && !replayed.is_finished() {
            tokio::task::yield_now().await;
        }
        replayed.abort();
        drop(replayed.await);
        let report = callbacks.flush(Duration::from_secs(60)).await;
        assert!(report.is_complete());
        for recorder in [recorder, later] {
            recorder.assert_balanced();
            recorder.assert_in_order();
        }
    }
}

/// A replay that nobody ever polls does nothing.
#[tokio::test]
async fn where_it_is_not_even_begun() {
    let recorder = Recorder::new();
    drop(replay(
        "/no/such/file",
        &Callbacks::new().with(recorder.clone()),
    ));
    assert!(recorder.is_empty());
}

// What no program writes, but a person may, or a disk.

#[tokio::test]
async fn an_end_without_a_start() {
    let (_folder, path) = folder();
    let ends = Interests::of(&[ChainEnd::INDEX, ToolEnd::INDEX]);
    let json_lines = JsonLines::create(&path).unwrap();
    let callbacks = Callbacks::new().with(handler(json_lines).only(ends));
    for _ in 0..2 {
        let agent = callbacks.chain_start(&AGENT, Value::Null).await.unwrap();
        let tool = agent.callbacks().tool_start(&TOOL, "").await.unwrap();
        tool.end(json!(1)).await.unwrap();
        agent.end(Value::Null).await.unwrap();
    }
    let recorder = Recorder::new();
    let callbacks = Callbacks::new().with(recorder.clone());
    let replayed = replay(&path, &callbacks).await.unwrap();
    assert!(replayed.open.is_empty());
    assert_events!(recorder, [ToolEnd, ChainEnd, ToolEnd, ChainEnd]);
    let seqs: Vec<_> = recorder.events().iter().map(Recorded::seq).collect();
    // Where nobody hears the starts, they have no numbers.
    assert_eq!(seqs, [1, 2, 1, 2]);
}

/// The second end of a run is damage: nobody knows what it belongs to.
#[tokio::test]
async fn two_ends() {
    let (_folder, path) = folder();
    let lines = nested(&path).await;
    let last = lines.last().unwrap().clone();
    let lines = [lines, vec![last]].concat();
    let recorder = Recorder::new();
    let callbacks = Callbacks::new().with(recorder.clone());
    let error = replay(other(&path, &lines), &callbacks).await.unwrap_err();
    assert!(matches!(error, ReplayError::Recording(_)), "{error}");
    assert!(error.to_string().contains("line 11 of"), "{error}");
    recorder.assert_balanced();
    assert_eq!(recorder.len(), 9);
}

/// A run that starts twice ends twice.
#[tokio::test]
async fn two_starts() {
    let (_folder, path) = folder();
    let lines = nested(&path).await;
    let lines = [&lines[..2], &lines[1..]].concat();
    let recorder = Recorder::new();
    let callbacks = Callbacks::new().with(recorder.clone());
    let replayed = replay(other(&path, &lines), &callbacks).await.unwrap();
    assert!(replayed.open.is_empty());
    let methods: Vec<_> = recorder.events().iter().map(Recorded::method).collect();
    assert_eq!(
        methods[..3],
        ["on_chain_start", "on_chain_error", "on_chain_start"]
    );
    assert_eq!(methods.len(), 11);
}

/// Where an end is missing, the run around it ends it.
#[tokio::test]
async fn an_end_that_is_missing() {
    let (_folder, path) = folder();
    let mut lines = nested(&path).await;
    // Those of the model and of the tool.
    lines.drain(7..9);
    let recorder = Recorder::new();
    let callbacks = Callbacks::new().with(recorder.clone());
    let replayed = replay(other(&path, &lines), &callbacks).await.unwrap();
    let open: Vec<_> = replayed.open.iter().map(RunInfo::name).collect();
    assert_eq!(open, ["Tool", "Model"]);
    recorder.assert_balanced();
    recorder.assert_in_order();
    let kinds: Vec<_> = recorder.events().iter().filter_map(error_kind).collect();
    assert_eq!(kinds, [ErrorKind::Abandoned; 2]);
}

/// What comes in a run that has ended with the one around it is not delivered: a text, or its end.
#[tokio::test]
async fn what_comes_too_late() {
    let (_folder, path) = folder();
    let lines = nested(&path).await;
    for late in [4, 7] {
        let on_time = |at: &usize| *at != late && *at != 7;
        let late_lines = (0..lines.len()).filter(on_time).chain([late]);
        let late_lines: Vec<_> = late_lines.map(|at| lines[at].clone()).collect();
        let recorder = Recorder::new();
        let callbacks = Callbacks::new().with(recorder.clone());
        match replay(other(&path, &late_lines), &callbacks)
            .await
            .unwrap_err()
        {
            ReplayError::Stopped { source, .. } => assert!(matches!(source, EmitError::RunClosed)),
            error => panic!("{error}"),
        }
        recorder.assert_balanced();
    }
}

/// No number is so large that there is none after it.
#[tokio::test]
async fn numbers_at_the_edge() {
    let (_folder, path) = folder();
    let lines = nested(&path).await;
    for (number, known) in [
        ("0", false),
        ("9223372036854775807", true),
        ("9223372036854775808", false),
        ("18446744073709551615", false),
        ("18446744073709551616", false),
        ("-1", false),
        ("1.5", false),
    ] {
        let line = lines[1].replacen("\"seq\":1,", &format!("\"seq\":{number},"), 1);
        assert_ne!(line, lines[1]);
        let recorder = Recorder::new();
        let callbacks = Callbacks::new().with(recorder.clone());
        let lines = [lines[0].clone(), line];
        let replayed = replay(other(&path, &lines), &callbacks).await;
        assert_eq!(replayed.is_ok(), known, "{number}");
        assert_eq!(recorder.len(), if known { 2 } else { 0 });
        recorder.assert_balanced();
    }
}
