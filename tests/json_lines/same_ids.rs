//! Ids are the emitter's: runs that are known at the same time may have one. They are kept apart, in
//! the file and where it is replayed.

use std::path::PathBuf;
use std::sync::mpsc;

use callbacks::handlers::{JsonLines, RunTrees, replay};
use callbacks::testing::Recorder;
use callbacks::{Callbacks, ChainRun, RunId};
use callbacks_tests::TOOL;
use serde_json::{Value, json};

use crate::{AGENT, folder, heard, read, records, text};

async fn start(callbacks: &Callbacks, name: &'static str) -> ChainRun {
    let start = callbacks.chain_start(&AGENT, Value::Null).name(name);
    start.id(RunId::from(7)).await.unwrap()
}

/// The drawings of all run trees, without the times; and all that was heard.
struct Trees(Recorder, RunTrees, mpsc::Receiver<String>);

impl Trees {
    fn new() -> Self {
        let (send, receive) = mpsc::channel();
        let gather = RunTrees::new(move |tree| {
            let shown = tree.runs().iter().map(|run| {
                let notes: Vec<_> = run.notes.iter().map(|note| &*note.text).collect();
                format!("{}{} {notes:?};", "-".repeat(run.depth), run.info.name())
            });
            send.send(shown.collect()).unwrap();
        });
        Self(Recorder::new(), gather, receive)
    }

    fn listen(
        self,
        callbacks: &Callbacks,
    ) -> (Callbacks, impl Fn() -> (Vec<String>, Vec<String>) + use<>) {
        let Self(recorder, gather, receive) = self;
        let callbacks = callbacks.with(recorder.clone()).with(gather);
        let seen = move || (heard(&recorder.events()), receive.try_iter().collect());
        (callbacks, seen)
    }
}

/// What is heard live is heard in a replay, and in a replay of a recording of it.
async fn check(path: &PathBuf, live: (Vec<String>, Vec<String>)) {
    assert_eq!(read(&records(path)), live.0);
    let copy = path.with_extension("copy");
    let again = Callbacks::new().with(JsonLines::create(&copy).unwrap());
    let (again, seen) = Trees::new().listen(&again);
    let replayed = replay(path, &again).await.unwrap();
    assert!(replayed.open.is_empty());
    assert_eq!(seen(), live);
    let (once_more, seen) = Trees::new().listen(&Callbacks::new());
    replay(&copy, &once_more).await.unwrap();
    assert_eq!(seen(), live);
}

#[tokio::test]
async fn side_by_side() {
    let (_folder, path) = folder();
    let callbacks = Callbacks::new().with(JsonLines::create(&path).unwrap());
    let (callbacks, seen) = Trees::new().listen(&callbacks);
    for _ in 0..2 {
        let (one, two) = (
            start(&callbacks, "one").await,
            start(&callbacks, "two").await,
        );
        one.text("in one").await.unwrap();
        two.text("in two").await.unwrap();
        let tool = two.callbacks().tool_start(&TOOL, "").await.unwrap();
        one.text("in one").await.unwrap();
        tool.text("in two's").await.unwrap();
        tool.end(Value::Null).await.unwrap();
        one.end(Value::Null).await.unwrap();
        let three = start(&callbacks, "three").await;
        two.text("in two").await.unwrap();
        two.end(Value::Null).await.unwrap();
        three.end(Value::Null).await.unwrap();
    }
    let live = seen();
    let (one, two) = (
        "one [\"in one\", \"in one\"];",
        "two [\"in two\", \"in two\"];-Tool [\"in two's\"];",
    );
    let three = "three [];";
    assert_eq!(live.1, [one, two, three, one, two, three]);
    check(&path, live).await;
}

#[tokio::test]
async fn inside_each_other() {
    let (_folder, path) = folder();
    let callbacks = Callbacks::new().with(JsonLines::create(&path).unwrap());
    let (callbacks, seen) = Trees::new().listen(&callbacks);
    let outer = start(&callbacks, "outer").await;
    let inner = start(outer.callbacks(), "inner").await;
    let innermost = start(inner.callbacks(), "innermost").await;
    for _ in 0..2 {
        outer.text("in outer").await.unwrap();
        innermost.text("in innermost").await.unwrap();
        inner.text("in inner").await.unwrap();
    }
    innermost.end(Value::Null).await.unwrap();
    inner.end(Value::Null).await.unwrap();
    outer.text("in outer").await.unwrap();
    outer.end(Value::Null).await.unwrap();
    let live = seen();
    assert_eq!(live.1.len(), 1);
    check(&path, live).await;
}

/// Each run is described once, whoever has its id.
#[tokio::test]
async fn the_lines() {
    let (_folder, path) = folder();
    let callbacks = Callbacks::new().with(JsonLines::create(&path).unwrap());
    let one = start(&callbacks, "one").await;
    let two = start(&callbacks, "two").await;
    let below = start(two.callbacks(), "below").await;
    one.text("").await.unwrap();
    below.end(Value::Null).await.unwrap();
    two.end(Value::Null).await.unwrap();
    one.end(Value::Null).await.unwrap();
    let runs: Vec<Value> = text(&path).lines().skip(1).map(run_of).collect();
    let (nth, parent_nth) = (
        runs.iter()
            .map(|run| run["nth"].clone())
            .collect::<Vec<_>>(),
        runs.iter()
            .map(|run| run["parent_nth"].clone())
            .collect::<Vec<_>>(),
    );
    assert_eq!(json!(nth), json!([null, 1, 2, null, 2, 1, null]));
    assert_eq!(
        json!(parent_nth),
        json!([null, null, 1, null, null, null, null])
    );
    assert_eq!(text(&path).matches("\"started_at\"").count(), 3);
}

fn run_of(line: &str) -> Value {
    serde_json::from_str::<Value>(line).unwrap()["run"].take()
}

/// Outside of any run there are as many empty runs as values of callbacks, each with numbers of its own.
#[tokio::test]
async fn events_outside_any_run() {
    let (_folder, path) = folder();
    let callbacks = Callbacks::new().with(JsonLines::create(&path).unwrap());
    let (callbacks, seen) = Trees::new().listen(&callbacks);
    let (one, two) = (callbacks.tag("one"), callbacks.tag("two"));
    for callbacks in [&one, &two, &one, &callbacks, &one, &two] {
        callbacks.custom_event("it", Value::Null).await.unwrap();
    }
    assert_eq!(text(&path).matches("\"started_at\"").count(), 3);
    check(&path, seen()).await;
}

/// Those that come and go leave nothing behind: the next ones are known by what they were known by.
#[tokio::test]
async fn values_that_come_and_go() {
    let (_folder, path) = folder();
    let callbacks = Callbacks::new().with(JsonLines::create(&path).unwrap());
    for request in 0..1000 {
        let callbacks = callbacks.metadata("request", request);
        callbacks.custom_event("it", Value::Null).await.unwrap();
    }
    let last = text(&path)
        .lines()
        .skip(1)
        .map(run_of)
        .map(|run| run["nth"].as_u64())
        .max();
    assert!(last.flatten().unwrap() < 100, "{last:?}");
    let recorder = Recorder::new();
    let again = Callbacks::new().with(recorder.clone());
    replay(&path, &again).await.unwrap();
    let events = recorder.events();
    assert_eq!(read(&records(&path)), heard(&events));
    let requests = events
        .iter()
        .map(|event| event.run().metadata()["request"].clone());
    assert_eq!(
        requests.collect::<Vec<_>>(),
        (0..1000).map(Value::from).collect::<Vec<_>>()
    );
}

/// A program that was killed and started again gives the same ids again: those are other runs.
#[tokio::test]
async fn an_id_that_is_given_again_after_a_crash() {
    let (_folder, path) = folder();
    for _ in 0..3 {
        let callbacks = Callbacks::new().with(JsonLines::open(&path).unwrap());
        let run = start(&callbacks, "again").await;
        run.text("on its way").await.unwrap();
        let before = text(&path);
        run.end(Value::Null).await.unwrap();
        // It is dropped, and writes no more.
        drop(callbacks);
        while JsonLines::open(&path).is_err() {
            tokio::task::yield_now().await;
        }
        std::fs::write(&path, before).unwrap();
    }
    let recorder = Recorder::new();
    let replayed = replay(&path, &Callbacks::new().with(recorder.clone()))
        .await
        .unwrap();
    assert_eq!((replayed.events, replayed.open.len()), (6, 3));
    let ends = recorder
        .events()
        .into_iter()
        .filter(|event| event.method() == "on_chain_error");
    assert_eq!(ends.count(), 3);
}
