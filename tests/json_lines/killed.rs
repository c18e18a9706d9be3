//! `kill -9`: what was acknowledged is there. The test runs itself as another process, which says on
//! its standard output what was acknowledged, and kills that at a random moment.

use std::collections::HashSet;
use std::env;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Write, stdout};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio, exit};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use callbacks::events::AnyEvent;
use callbacks::handlers::JsonLines;
use callbacks::handlers::json_lines::{RecordingError, SyncData};
use callbacks::{Callbacks, Queue, Run, callback_handler, handler};
use serde_json::Value;
use tokio::runtime::Builder;

use crate::{AGENT, folder};

const FILE: &str = "CALLBACKS_KILLED_FILE";
const WAY: &str = "CALLBACKS_KILLED_WAY";

/// So often the process is killed, in each way.
const KILLS: u64 = 40;

#[test]
fn awaited() {
    kill_often("awaited");
}

#[test]
fn inline() {
    kill_often("inline");
}

#[test]
fn flushed() {
    kill_often("background");
}

/// Kills one process after another that go on with one file.
fn kill_often(way: &str) {
    let (_folder, path) = folder();
    let mut all = Vec::new();
    for kill_number in 0..KILLS {
        let random = RandomState::new().hash_one(kill_number) % 120 + 1;
        all.extend(kill(&path, way, random));
        // Whoever looks before it is opened again finds them too.
        let there = there(&path);
        let missing: Vec<_> = all.iter().filter(|what| !there.contains(*what)).collect();
        assert!(missing.is_empty(), "{way}: {missing:?} of {}", all.len());
    }
    JsonLines::open(&path).unwrap();
    let there = there(&path);
    assert!(all.iter().all(|what| there.contains(what)));
    println!("{way}: {} acknowledged, all there", all.len());
}

/// Kills it after so many acknowledgements, and returns those, with what was said until it was dead.
fn kill(file: &Path, way: &str, after: u64) -> Vec<String> {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", "killed::the_one_that_is_killed", "--nocapture"])
        .env(FILE, file)
        .env(WAY, way)
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut process = command.spawn().unwrap();
    let mut said = BufReader::new(process.stdout.take().unwrap());
    let mut acknowledged = Vec::new();
    let mut listen = |until| {
        while (acknowledged.len() as u64) < until {
            let mut line = String::new();
            said.read_line(&mut line).unwrap();
            // The last line may be torn itself.
            let Some(line) = line.strip_suffix('\n') else {
                break;
            };
            // The first ones are those of the test harness.
            if let Some((_, what)) = line.split_once("ack ") {
                acknowledged.push(what.to_owned());
            }
        }
    };
    listen(after);
    if cfg!(not(windows)) {
        let second = JsonLines::open(file).unwrap_err();
        assert!(matches!(second, RecordingError::InUse { .. }), "{second}");
    }
    process.kill().unwrap();
    let status = process.wait().unwrap();
    assert_eq!(status.code(), None, "it ended by itself: {status}");
    listen(u64::MAX);
    assert!(acknowledged.len() as u64 >= after);
    acknowledged
}

/// The texts of a recording, as they are acknowledged.
fn there(path: &PathBuf) -> HashSet<String> {
    let texts = JsonLines::read(path).unwrap().filter_map(|record| {
        let record = record.unwrap();
        let AnyEvent::Text(event) = record.event() else {
            return None;
        };
        let (run, seq) = (record.run().id(), record.seq());
        Some(format!("{run} {seq} {}", event.text.len()))
    });
    texts.collect()
}

/// The process that is killed.
#[test]
fn the_one_that_is_killed() {
    let (Ok(file), Ok(way)) = (env::var(FILE), env::var(WAY)) else {
        return;
    };
    // Whoever kills it finds out.
    std::panic::set_hook(Box::new(|_| exit(1)));
    let json_lines = JsonLines::open(file).unwrap().sync_data(SyncData::Never);
    let json_lines = handler(json_lines);
    let json_lines = match &*way {
        "background" => json_lines.background(Queue::bounded(64)),
        "inline" => json_lines.inline(),
        _ => json_lines,
    };
    let callbacks = Callbacks::new().with(json_lines);
    let mut runtime = Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let flushes = way == "background";
        let other = callbacks.clone();
        let other = tokio::spawn(async move { emit(&other, flushes).await });
        emit(&callbacks, flushes).await;
        other.await.unwrap();
    });
}

/// One run tree after another, with texts of many sizes.
async fn emit(callbacks: &Callbacks, flushes: bool) {
    let last = Arc::new(Last::default());
    let callbacks = callbacks.with(handler(last.clone()).inline());
    for tree in 0.. {
        let run = callbacks.chain_start(&AGENT, Value::Null).await.unwrap();
        let mut emitted = Vec::new();
        for text in 0..20 {
            let text = "x".repeat((tree * 37 + text * text * 11) % 5000);
            run.text(&text).await.unwrap();
            emitted.push(last.0.lock().unwrap().clone());
            if !flushes {
                acknowledge(emitted.drain(..));
            }
        }
        if flushes {
            // What the other task has queued since is pending.
            let report = callbacks.flush(Duration::from_secs(60)).await;
            assert!(report.handlers.iter().all(|handler| handler.failed == 0));
            acknowledge(emitted.into_iter());
        }
        run.end(Value::Null).await.unwrap();
    }
}

/// Says that these were acknowledged, each in one write; where nobody listens any more, it is over.
fn acknowledge(emitted: impl Iterator<Item = String>) {
    for what in emitted {
        let line = format!("ack {what}\n");
        let mut out = stdout().lock();
        let said = out.write_all(line.as_bytes()).and_then(|()| out.flush());
        said.unwrap_or_else(|_| exit(1));
    }
}

/// The last text that was emitted.
#[derive(Default)]
struct Last(Mutex<String>);

#[callback_handler]
impl Last {
    fn on_text(&self, text: &str, run: &Run<'_>) {
        let what = format!("{} {} {}", run.id(), run.seq(), text.len());
        *self.0.lock().unwrap() = what;
    }
}
