//! A replay has the times of the recording, whenever it comes and however late a handler asks.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use callbacks::handlers::json_lines::replay_blocking;
use callbacks::handlers::{JsonLines, RunTrees, StdoutHandler, Timeline, replay};
use callbacks::{Callbacks, LlmResult, Queue, Run, callback_handler, handler};
use callbacks_tests::MODEL;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Notify;

use crate::{AGENT, folder, records, text};

/// When the recording says that its first run began: long ago.
const BEGIN: Duration = Duration::from_secs(1_577_836_800);

/// When its lines were written, in milliseconds from then on.
const LINES: [u64; 7] = [1, 11, 13, 21, 31, 61, 100];

fn at(millis: u64) -> SystemTime {
    UNIX_EPOCH + BEGIN + Duration::from_millis(millis)
}

/// A model in an agent, with the times above. The model begins 10 ms after the agent.
async fn recorded() -> (TempDir, PathBuf) {
    let (folder, path) = folder();
    let callbacks = Callbacks::new().with(JsonLines::create(&path).unwrap());
    let agent = callbacks.chain_start(&AGENT, Value::Null).await.unwrap();
    let model = agent.callbacks().llm_start(&MODEL, Vec::new).await.unwrap();
    model.text("thinking").await.unwrap();
    model.new_token("Be").await.unwrap();
    model.new_token("cause").await.unwrap();
    model.end(LlmResult::from_text("Because")).await.unwrap();
    agent.end(json!("Because")).await.unwrap();
    let written = text(&path);
    let mut lines = written.lines();
    let mut timed = format!("{}\n", lines.next().unwrap());
    for (line, time) in lines.zip(LINES) {
        let micros = |millis: u64| at(millis).duration_since(UNIX_EPOCH).unwrap().as_micros();
        let mut line: Value = serde_json::from_str(line).unwrap();
        line["time"] = json!(u64::try_from(micros(time)).unwrap());
        if let Some(started_at) = line["run"].get_mut("started_at") {
            *started_at = json!(u64::try_from(micros(time / 10 * 10)).unwrap());
        }
        writeln!(timed, "{line}").unwrap();
    }
    fs::write(&path, timed).unwrap();
    (folder, path)
}

/// Asks for the time of each event; in the background, when it is let.
#[derive(Clone, Default)]
struct Times {
    sync: Arc<Mutex<Vec<SystemTime>>>,
    asynchronous: Arc<Mutex<Vec<SystemTime>>>,
    may_ask: Option<Arc<Notify>>,
}

#[callback_handler]
impl Times {
    fn on_chain_start(&self, run: &Run<'_>) {
        self.sync.lock().unwrap().push(run.time());
    }

    async fn on_llm_new_token(&self, run: &Run<'_>) {
        if let Some(may_ask) = &self.may_ask {
            may_ask.notified().await;
            may_ask.notify_one();
        }
        self.asynchronous.lock().unwrap().push(run.time());
    }

    fn on_chain_end(&self, run: &Run<'_>) {
        self.sync.lock().unwrap().push(run.time());
    }

    fn on_chain_error(&self, run: &Run<'_>) {
        self.sync.lock().unwrap().push(run.time());
    }
}

impl Times {
    #[track_caller]
    fn assert_recorded(&self) {
        assert_eq!(*self.sync.lock().unwrap(), [at(1), at(100)]);
        assert_eq!(*self.asynchronous.lock().unwrap(), [at(21), at(31)]);
    }
}

#[tokio::test]
async fn handlers_have_the_times_of_the_recording() {
    let (_folder, path) = recorded().await;
    let [lane, inline] = [(); 2].map(|()| Times::default());
    let may_ask = Arc::new(Notify::new());
    let queued = Times {
        may_ask: Some(may_ask.clone()),
        ..Times::default()
    };
    let callbacks = Callbacks::new()
        .with(lane.clone())
        .with(handler(inline.clone()).inline())
        .with(handler(queued.clone()).background(Queue::bounded(16)));
    let (callbacks, records) = callbacks.record(Queue::bounded(16));
    replay(&path, &callbacks).await.unwrap();
    may_ask.notify_one();
    let flushed = callbacks.flush(Duration::from_secs(60)).await;
    assert_eq!(flushed.handlers[2].pending, 0, "{flushed:?}");
    for times in [lane, inline, queued] {
        times.assert_recorded();
    }
    drop(callbacks);
    let times = records.map(|record| record.time()).collect::<Vec<_>>();
    assert_eq!(times.await, LINES.map(at));

    let waits = Times::default();
    replay_blocking(&path, &Callbacks::new().with(waits.clone())).unwrap();
    waits.assert_recorded();
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn what_is_measured_is_what_was_measured() {
    let (folder, path) = recorded().await;
    let page = folder.path().join("page.html");
    let (written, (send, trees)) = (Written::default(), mpsc::channel());
    let callbacks = Callbacks::new()
        .with(RunTrees::new(move |tree| send.send(tree).unwrap()))
        .with(StdoutHandler::to(written.clone()))
        .with(Timeline::new(&page));
    replay(&path, &callbacks).await.unwrap();

    let tree = trees.recv().unwrap();
    let [agent, model] = tree.runs() else {
        panic!("{tree:?}");
    };
    let millis = |millis| Some(Duration::from_millis(millis));
    assert_eq!(
        (agent.duration(), model.duration()),
        (millis(100), millis(51))
    );
    assert_eq!(model.tokens, [at(21), at(31)]);
    assert_eq!(model.notes[0].time, at(13));

    let shown = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    assert!(
        shown.contains("< Model 51 ms, first token after 11 ms\n"),
        "{shown}"
    );
    assert!(shown.contains("\nAgent (chain) 100 ms\n"), "{shown}");

    let page = fs::read_to_string(page).unwrap();
    let shown = r#""start":10.0"#;
    assert!(
        page.contains(shown) && page.contains(r#""end":61.0"#),
        "{page}"
    );
}

/// The recording of a crash: nothing more is known than what its last line says.
#[tokio::test]
async fn a_run_that_is_left_open_ends_with_the_last_that_is_known() {
    let (_folder, path) = recorded().await;
    let whole = text(&path);
    let lines: Vec<_> = whole.split_inclusive('\n').collect();
    fs::write(&path, lines[..6].concat()).unwrap();
    let times = Times::default();
    let callbacks = Callbacks::new().with(times.clone());
    let replayed = replay(&path, &callbacks).await.unwrap();
    assert_eq!(replayed.open.len(), 2);
    assert_eq!(*times.sync.lock().unwrap(), [at(1), at(31)]);
}

/// What happens now has the time that it is, read when it is asked for.
#[tokio::test]
async fn what_happens_now_has_the_time_that_it_is() {
    let (_folder, path) = folder();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let times = Times {
        sync: asked.clone(),
        ..Times::default()
    };
    let callbacks = Callbacks::new()
        .with(handler(times).inline())
        .with(JsonLines::create(&path).unwrap());
    let before = SystemTime::now();
    let run = callbacks.chain_start(&AGENT, Value::Null).await.unwrap();
    run.end(Value::Null).await.unwrap();
    let mut moments = asked.lock().unwrap().clone();
    moments.insert(0, before);
    moments.push(SystemTime::now());
    assert!(moments.len() == 4 && moments.is_sorted());
    assert!(records(&path).iter().all(|record| record.time() > at(100)));
}
