//! A full disk: one clear error, runs that go on, losses that are counted, and no half lines.

use std::env;
use std::fmt::Debug;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use callbacks::handlers::JsonLines;
use callbacks::handlers::json_lines::RecordingError;
use callbacks::testing::Recorder;
use callbacks::{Callbacks, EmitError, Queue, handler};
use callbacks_tests::{Log, traced};
use serde_json::{Value, json};
use tempfile::TempDir;
use tracing::field::Field;

use crate::{AGENT, folder, records, text};

/// A small disk of its own, and the folder that it is in. Only root may have one.
struct Disk {
    path: PathBuf,
    _folder: TempDir,
}

impl Disk {
    fn new() -> Option<Self> {
        let (folder, path) = folder();
        fs::create_dir(&path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]);
        match mount.arg(&path).output() {
            Ok(output) if output.status.success() => Some(Self {
                path,
                _folder: folder,
            }),
            why => {
                assert!(
                    env::var_os("CI").is_none(),
                    "a small disk is needed: {why:?}"
                );
                println!("skipped, for no small disk can be mounted here: {why:?}");
                None
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a run that is dropped closes a moment later.
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

/// A run with so many texts, of many sizes. Returns how many events that is.
async fn emit(callbacks: &Callbacks, texts: usize) -> u64 {
    let run = callbacks.chain_start(&AGENT, Value::Null).await.unwrap();
    for text in 0..texts {
        run.text(&"x".repeat(text * 53 % 700)).await.unwrap();
    }
    run.end(json!("done")).await.unwrap();
    texts as u64 + 2
}

#[tokio::test]
async fn runs_go_on_and_losses_are_counted() {
    let Some(disk) = Disk::new() else { return };
    let path = disk.path.join("run.jsonl");
    let ballast = disk.path.join("ballast");
    fs::write(&ballast, vec![0; 30_000]).unwrap();
    let json_lines = Arc::new(JsonLines::create(&path).unwrap());
    let recorder = Recorder::new();
    let callbacks = Callbacks::new()
        .with(handler(json_lines.clone()).named("json lines"))
        .with(recorder.clone());
    let failed = async || {
        let report = callbacks.flush(Duration::from_secs(60)).await;
        report.handler("json lines").unwrap().failed
    };

    let mut emitted = emit(&callbacks, 200).await;
    let lost = json_lines.lost();
    assert!((50..200).contains(&lost), "{lost} lost");
    assert_eq!(failed().await, lost);
    assert_eq!(recorder.len() as u64, emitted);
    // Whole lines, and no other.
    assert!(text(&path).ends_with('\n'));
    assert_eq!(records(&path).len() as u64, emitted - lost);

    emitted += emit(&callbacks, 200).await;
    let lost = json_lines.lost();
    assert_eq!(failed().await, lost);
    assert_eq!(records(&path).len() as u64, emitted - lost);

    // With room again, it goes on, and says what is missing.
    fs::remove_file(&ballast).unwrap();
    emitted += emit(&callbacks, 10).await;
    emitted += emit(&callbacks, 10).await;
    assert_eq!(json_lines.lost(), lost);
    let mut recording = JsonLines::read(&path).unwrap();
    let there = recording.by_ref().map(Result::unwrap).count() as u64;
    assert_eq!((there, recording.lost()), (emitted - lost, lost));

    // And full again.
    emitted += emit(&callbacks, 400).await;
    let lost = json_lines.lost();
    assert_eq!(failed().await, lost);
    assert_eq!(records(&path).len() as u64, emitted - lost);
}

/// One line in the log, until a run tree was recorded without a loss.
#[tokio::test]
async fn it_is_logged_once() {
    let Some(disk) = Disk::new() else { return };
    let path = disk.path.join("run.jsonl");
    let json_lines = Arc::new(JsonLines::create(&path).unwrap());
    let callbacks = Callbacks::new().with(handler(json_lines.clone()).named("once"));
    failures();
    for _ in 0..3 {
        emit(&callbacks, 400).await;
    }
    assert!(json_lines.lost() > 500);
    assert_eq!(logged("once"), 1);
}

/// The same without a disk: an event that cannot be written, between run trees that can.
#[tokio::test]
async fn it_is_logged_again_after_a_whole_run_tree() {
    let (_folder, path) = folder();
    let json_lines = JsonLines::create(&path).unwrap();
    let callbacks = Callbacks::new().with(handler(json_lines).named("again"));
    failures();
    let deep = (0..200).fold(Value::Null, |inner, _| json!([inner]));
    let tree = async |losses: usize| {
        let run = callbacks.chain_start(&AGENT, Value::Null).await.unwrap();
        for _ in 0..losses {
            run.custom_event("deep", &deep).await.unwrap();
        }
        run.end(Value::Null).await.unwrap();
    };
    for (losses, times) in [(2, 1), (2, 1), (0, 1), (2, 2), (0, 2), (0, 2), (1, 3)] {
        tree(losses).await;
        assert_eq!(logged("again"), times);
    }
}

/// How many failures were logged of the handler with this name.
fn logged(name: &str) -> usize {
    let failures = failures().lines().into_iter();
    failures.filter(|failed| failed == name).count()
}

/// Begins to listen for the names of handlers that fail.
fn failures() -> &'static Log {
    traced(|event| {
        let mut name = None;
        event.record(&mut |field: &Field, value: &dyn Debug| {
            if field.name() == "handler" {
                name = Some(format!("{value:?}").trim_matches('"').to_owned());
            }
        });
        name
    })
}

/// What is missing at the end is told there.
#[tokio::test]
async fn the_end_that_is_missing_is_told() {
    let Some(disk) = Disk::new() else { return };
    let path = disk.path.join("run.jsonl");
    let json_lines = Arc::new(JsonLines::create(&path).unwrap());
    let callbacks = Callbacks::new().with(json_lines.clone());
    let run = callbacks.chain_start(&AGENT, Value::Null).await.unwrap();
    run.text(&"x".repeat(100_000)).await.unwrap();
    run.end(json!("x".repeat(100_000))).await.unwrap();
    drop(callbacks);
    // What delivered the end may hold it a moment longer.
    let mut json_lines = json_lines;
    while let Err(held) = Arc::try_unwrap(json_lines).map(drop) {
        tokio::task::yield_now().await;
        json_lines = held;
    }
    let mut recording = JsonLines::read(&path).unwrap();
    let there = recording.by_ref().map(Result::unwrap).count();
    assert_eq!((there, recording.lost()), (1, 2));
}

/// Errors are raised where that was asked for, each of them.
#[tokio::test]
async fn it_can_be_raised() {
    let Some(disk) = Disk::new() else { return };
    let path = disk.path.join("run.jsonl");
    let json_lines = JsonLines::create(&path).unwrap();
    let callbacks = Callbacks::new().with(handler(json_lines).raise_errors());
    let run = callbacks.chain_start(&AGENT, Value::Null).await.unwrap();
    for _ in 0..2 {
        match run.text(&"x".repeat(100_000)).await.unwrap_err() {
            EmitError::Raised { source, .. } => {
                assert!(source.is::<RecordingError>());
                let shown = source.to_string();
                assert!(shown.contains("cannot write to the recording `"), "{shown}");
                assert!(shown.contains("No space left"), "{shown}");
            }
            error => panic!("{error}"),
        }
    }
}

/// A file that cannot even begin is not left behind.
#[test]
fn what_cannot_begin_is_not_there() {
    let Some(disk) = Disk::new() else { return };
    let path = disk.path.join("run.jsonl");
    let ballast = disk.path.join("ballast");
    fs::write(&ballast, vec![0; 65_536]).unwrap();
    let full = JsonLines::create(&path).unwrap_err().to_string();
    assert!(full.contains("No space left"), "{full}");
    fs::remove_file(ballast).unwrap();
    JsonLines::create(&path).unwrap();
}

/// Nobody waits for a handler in the background, so there it is only counted and logged.
#[tokio::test]
async fn in_the_background() {
    let Some(disk) = Disk::new() else { return };
    let path = disk.path.join("run.jsonl");
    let json_lines = Arc::new(JsonLines::create(&path).unwrap());
    let background = handler(json_lines.clone()).background(Queue::bounded(16));
    let callbacks = Callbacks::new().with(background.named("json lines"));
    let emitted = emit(&callbacks, 400).await;
    let report = callbacks.flush(Duration::from_secs(60)).await;
    let report = report.handler("json lines").unwrap();
    assert!(json_lines.lost() > 0);
    assert_eq!(report.failed, json_lines.lost());
    assert_eq!(report.delivered, emitted - json_lines.lost());
    assert_eq!(records(&path).len() as u64, report.delivered);
}
