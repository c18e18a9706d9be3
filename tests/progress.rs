//! Lines on the terminal for what runs.

use std::fs;
use std::io::{self, Write};
use std::num::NonZero;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use callbacks::events::{LlmEnd, LlmError, ToolEnd, ToolError};
use callbacks::handlers::{Progress, replay};
use callbacks::{
    Callbacks, ErrorKind, Event, Interests, LlmResult, LlmRun, RunError, RunId, Serialized, handler,
};
use callbacks_tests::MODEL;
use serde_json::json;
use tokio::time::advance;

static AGENT: Serialized = Serialized::new("planner");
static SHELL: Serialized = Serialized::new("Shell");

/// Before this has passed, a condition has come true, or it never will.
const LONG: Duration = Duration::from_secs(30);

/// A terminal that is as large as the handler takes it for.
#[derive(Clone)]
struct Screen(Arc<Mutex<vt100::Parser>>);

impl Screen {
    fn new() -> Self {
        let [rows, columns] = [24, 80].map(|count| NonZero::new(count).unwrap());
        Self(Arc::new(Mutex::new(vt100::Parser::new(rows, columns, 0))))
    }

    /// What a person sees, without the spinners and the time beside them, which go by the real clock.
    fn lines(&self) -> Vec<String> {
        let screen = self.0.lock().unwrap();
        let mut rows: Vec<_> = screen.screen().rows(0, 80).collect();
        let last = rows.iter().rposition(|row| !row.trim().is_empty());
        rows.truncate(last.map_or(0, |last| last + 1));
        let lines = rows.iter().map(|line| {
            let mut words = line.splitn(3, ' ');
            match (words.next(), words.next(), words.next()) {
                (Some(spinner), Some(_), Some(text)) if !["✓", "✗"].contains(&spinner) => {
                    text.to_owned()
                }
                _ => line.clone(),
            }
        });
        lines.map(|line| line.trim_end().to_owned()).collect()
    }

    fn line(&self) -> String {
        self.lines().join("\n")
    }

    /// Once the last picture is drawn: when many come, some are left out, and a thread draws again.
    fn eventually(&self, lines: &[&str]) {
        let deadline = Instant::now() + LONG;
        while self.lines() != lines && Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert_eq!(self.lines(), lines);
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().process(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn progress(keep: bool) -> (Callbacks, Screen) {
    let screen = Screen::new();
    let progress = Progress::to(screen.clone()).keep(keep);
    (Callbacks::new().with(progress), screen)
}

async fn model(callbacks: &Callbacks) -> LlmRun {
    let start = callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]);
    start.await.unwrap()
}

async fn token(run: &LlmRun, after: u64) {
    advance(Duration::from_millis(after)).await;
    run.new_token("x").await.unwrap();
}

async fn end(run: LlmRun) {
    run.end(|| LlmResult::from_text("Because.")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn tokens_are_shown_with_their_pace_and_the_time_to_the_first() {
    let (callbacks, screen) = progress(true);
    let run = model(&callbacks).await;
    assert_eq!(screen.line(), "Model");
    token(&run, 250).await;
    assert_eq!(screen.line(), "Model: 1 token, first token after 250 ms");
    // An empty one is none, and a pace is that of what comes after the first.
    advance(Duration::from_millis(50)).await;
    run.new_token("").await.unwrap();
    token(&run, 50).await;
    token(&run, 100).await;
    let facts = "3 tokens, 10.0 tokens/s, first token after 250 ms";
    assert_eq!(screen.line(), format!("Model: {facts}"));
    advance(Duration::from_millis(550)).await;
    end(run).await;
    assert_eq!(screen.line(), format!("✓ Model: 1.00 s, {facts}"));
}

/// In no time, what took a second.
#[tokio::test(start_paused = true)]
async fn a_replay_shows_the_times_of_the_recording() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.jsonl");
    fs::write(&path, RECORDING).unwrap();
    let (callbacks, screen) = progress(true);
    replay(&path, &callbacks).await.unwrap();
    let facts = "2 tokens, 4.0 tokens/s, first token after 250 ms";
    assert_eq!(screen.line(), format!("✓ Model: 1.00 s, {facts}"));
}

const RECORDING: &str = r#"{"schema":"callbacks.json_lines","version":1}
{"seq":1,"time":1577836800000000,"run":{"id":"0190a6b0-52a1-7f3c-8d5e-3a1b2c3d4e5f","kind":"llm","name":"Model","started_at":1577836800000000},"event":{"LlmStart":{"serialized":null,"prompts":["Why?"],"params":null}}}
{"seq":2,"time":1577836800250000,"run":{"id":"0190a6b0-52a1-7f3c-8d5e-3a1b2c3d4e5f"},"event":{"LlmNewToken":{"token":"Be","chunk":null,"choice":0}}}
{"seq":3,"time":1577836800500000,"run":{"id":"0190a6b0-52a1-7f3c-8d5e-3a1b2c3d4e5f"},"event":{"LlmNewToken":{"token":"cause","chunk":null,"choice":0}}}
{"seq":4,"time":1577836801000000,"run":{"id":"0190a6b0-52a1-7f3c-8d5e-3a1b2c3d4e5f"},"event":{"LlmEnd":{"response":{"generations":[[]]},"params":null}}}
"#;

#[tokio::test(start_paused = true)]
async fn what_runs_inside_is_shown_and_the_tokens_of_all_of_it() {
    let (callbacks, screen) = progress(true);
    let agent = callbacks.chain_start(&AGENT, json!(null)).await.unwrap();
    assert_eq!(screen.line(), "planner");
    let chat = model(agent.callbacks()).await;
    assert_eq!(screen.line(), "planner › Model");
    token(&chat, 500).await;
    token(&chat, 500).await;
    let tool = agent.callbacks().tool_start(&SHELL, "ls").await.unwrap();
    let facts = "2 tokens, 2.0 tokens/s, first token after 500 ms";
    assert_eq!(screen.line(), format!("planner › Shell: {facts}"));
    end(chat).await;
    assert_eq!(screen.line(), format!("planner › Shell: {facts}"));
    tool.end(&json!("")).await.unwrap();
    assert_eq!(screen.line(), format!("planner: {facts}"));
    // Between two models, nothing is slow.
    let chat = model(agent.callbacks()).await;
    token(&chat, 60_000).await;
    token(&chat, 500).await;
    let facts = "4 tokens, 2.0 tokens/s, first token after 500 ms";
    assert_eq!(screen.line(), format!("planner › Model: {facts}"));
    end(chat).await;
    agent.end(&json!(null)).await.unwrap();
    assert_eq!(screen.line(), format!("✓ planner: 61.50 s, {facts}"));
}

#[tokio::test(start_paused = true)]
async fn models_that_run_at_once_add_up() {
    let (callbacks, screen) = progress(true);
    let agent = callbacks.chain_start(&AGENT, json!(null)).await.unwrap();
    let first = model(agent.callbacks()).await;
    let second = model(agent.callbacks()).await;
    for _ in 0..2 {
        token(&first, 500).await;
        token(&second, 500).await;
    }
    end(first).await;
    // The other one is still at it.
    token(&second, 2_000).await;
    let facts = "5 tokens, 1.1 tokens/s, first token after 500 ms";
    assert_eq!(screen.line(), format!("planner › Model: {facts}"));
}

#[tokio::test(start_paused = true)]
async fn runs_at_once_have_a_line_each() {
    let (callbacks, screen) = progress(true);
    let mut runs = Vec::new();
    for name in ["one", "two", "three"] {
        let start = callbacks.tool_start(&SHELL, "ls").name(name);
        runs.push(start.await.unwrap());
    }
    screen.eventually(&["one", "two", "three"]);
    let [one, two, three] = <[_; 3]>::try_from(runs).unwrap();
    two.end(&json!("")).await.unwrap();
    screen.eventually(&["✓ two: 0 µs", "one", "three"]);
    three.error(RunError::new("exit 1")).await.unwrap();
    one.end(&json!("")).await.unwrap();
    screen.eventually(&[
        "✓ two: 0 µs",
        "✗ three: 0 µs, failed: exit 1",
        "✓ one: 0 µs",
    ]);
}

#[tokio::test(start_paused = true)]
async fn runs_that_share_an_id_have_a_line_each() {
    let (callbacks, screen) = progress(true);
    let id = RunId::from(7);
    let start = |name| callbacks.tool_start(&SHELL, "ls").name(name).id(id);
    let one = start("one").await.unwrap();
    let two = start("two").await.unwrap();
    screen.eventually(&["one", "two"]);
    one.end(&json!("")).await.unwrap();
    screen.eventually(&["✓ one: 0 µs", "two"]);
    two.end(&json!("")).await.unwrap();
    screen.eventually(&["✓ one: 0 µs", "✓ two: 0 µs"]);
}

#[tokio::test]
async fn lines_vanish_where_that_is_asked_for() {
    let (callbacks, screen) = progress(false);
    let one = callbacks.tool_start(&SHELL, "ls").name("one");
    let one = one.await.unwrap();
    let two = callbacks.tool_start(&SHELL, "ls").name("two");
    let two = two.await.unwrap();
    one.error(RunError::new("exit 1")).await.unwrap();
    screen.eventually(&["two"]);
    two.end(&json!("")).await.unwrap();
    screen.eventually(&[]);
}

#[tokio::test]
async fn runs_that_do_not_come_to_their_end_end_their_lines() {
    let (callbacks, screen) = progress(true);
    let agent = callbacks.chain_start(&AGENT, json!(null)).await.unwrap();
    let tool = agent.callbacks().tool_start(&SHELL, "ls").await.unwrap();
    drop(agent);
    let report = callbacks.flush(LONG).await;
    assert!(report.is_complete(), "{report:?}");
    let line = screen.line();
    let dropped = format!(", {}: ", ErrorKind::Dropped);
    assert!(line.starts_with("✗ planner: "), "{line}");
    assert!(line.contains(&dropped), "{line}");
    drop(tool);
    // A start that another handler stops is over, too.
    let (callbacks, screen) = progress(true);
    let stop = callbacks::on(|_: &callbacks::events::ToolStart<'_>| Err("no"));
    let callbacks = callbacks.with(handler(stop).raise_errors());
    callbacks.tool_start(&SHELL, "ls").await.unwrap_err();
    let line = screen.line();
    assert!(line.starts_with("✗ Shell: "), "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_part_of_a_tree_has_a_line_of_its_own() {
    let screen = Screen::new();
    let tools = handler(Progress::to(screen.clone())).except(Interests::CHAIN);
    let callbacks = Callbacks::new().with(tools);
    let agent = callbacks.chain_start(&AGENT, json!(null)).await.unwrap();
    let tool = agent.callbacks().tool_start(&SHELL, "ls").await.unwrap();
    screen.eventually(&["Shell"]);
    // Inside the tool, two runs deep, of which one is not heard.
    let inner = tool.callbacks().chain_start(&AGENT, json!(null));
    let inner = inner.await.unwrap();
    let chat = model(inner.callbacks()).await;
    screen.eventually(&["Shell › Model"]);
    end(chat).await;
    tool.end(&json!("")).await.unwrap();
    screen.eventually(&["✓ Shell: 0 µs"]);
}

/// Whether its own end is heard or not.
#[tokio::test(start_paused = true)]
async fn a_run_is_over_when_the_run_around_it_is() {
    let screen = Screen::new();
    let ends = Interests::of(&[LlmEnd::INDEX, LlmError::INDEX]);
    let progress = handler(Progress::to(screen.clone())).except(ends);
    let callbacks = Callbacks::new().with(progress);
    let agent = callbacks.chain_start(&AGENT, json!(null)).await.unwrap();
    let tool = agent.callbacks().tool_start(&SHELL, "ls").await.unwrap();
    let chat = model(tool.callbacks()).await;
    end(chat).await;
    screen.eventually(&["planner › Model"]);
    tool.end(&json!("")).await.unwrap();
    screen.eventually(&["planner"]);
    let chat = model(agent.callbacks()).await;
    end(chat).await;
    agent.end(&json!(null)).await.unwrap();
    screen.eventually(&["✓ planner: 0 µs"]);
}

/// Lines whose end nobody tells of leave when there are many.
#[tokio::test(start_paused = true)]
async fn runs_whose_end_is_not_heard_are_forgotten() {
    let screen = Screen::new();
    let ends = Interests::of(&[ToolEnd::INDEX, ToolError::INDEX]);
    let progress = handler(Progress::to(screen.clone())).except(ends);
    let callbacks = Callbacks::new().with(progress);
    let agent = callbacks.chain_start(&AGENT, json!(null)).await.unwrap();
    let mut fewest = usize::MAX;
    for number in 0..200 {
        let tool = callbacks.tool_start(&SHELL, "ls").await.unwrap();
        tool.end(&json!("")).await.unwrap();
        // The screen is full by then.
        if number >= 50 {
            fewest = fewest.min(screen.lines().len());
        }
    }
    assert!((1..10).contains(&fewest), "{fewest} lines");
    agent.end(&json!(null)).await.unwrap();
    let lines = screen.lines();
    assert!(lines.contains(&"✓ planner: 0 µs".to_owned()), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_said_cannot_break_the_lines() {
    let (callbacks, screen) = progress(true);
    let run = callbacks.tool_start(&SHELL, "ls").name("a\x1b[2Jb\nc");
    let run = run.await.unwrap();
    assert_eq!(screen.line(), "a\\u{1b}[2Jb");
    let inner = run.callbacks().tool_start(&SHELL, "ls");
    let inner = inner.name("…".repeat(200)).await.unwrap();
    // A line is one, so what is too long is cut.
    assert_eq!(screen.lines().len(), 1, "{:?}", screen.lines());
    inner.end(&json!("")).await.unwrap();
    run.error(RunError::new("no\x07\nbut")).await.unwrap();
    screen.eventually(&["✗ a\\u{1b}[2Jb: 0 µs, failed: no\\u{7}"]);
}

#[tokio::test(start_paused = true)]
async fn others_can_write_while_lines_are_suspended() {
    let screen = Screen::new();
    let progress = Arc::new(Progress::to(screen.clone()));
    let callbacks = Callbacks::new().with(progress.clone());
    let run = callbacks.tool_start(&SHELL, "ls").await.unwrap();
    progress.suspend(|| {
        assert_eq!(screen.line(), "");
        screen.clone().write_all(b"hello\r\n").unwrap();
    });
    assert_eq!(screen.lines(), ["hello", "Shell"]);
    run.end(&json!("")).await.unwrap();
    screen.eventually(&["hello", "✓ Shell: 0 µs"]);
}

#[tokio::test]
async fn lines_of_runs_that_are_over_stay_when_others_write() {
    let screen = Screen::new();
    let progress = Arc::new(Progress::to(screen.clone()));
    let callbacks = Callbacks::new().with(progress.clone());
    let mut runs = Vec::new();
    for name in ["one", "two"] {
        let start = callbacks.tool_start(&SHELL, "ls").name(name);
        runs.push(start.await.unwrap());
    }
    for run in runs.into_iter().rev() {
        run.end(&json!("")).await.unwrap();
    }
    progress.suspend(|| screen.clone().write_all(b"hello\r\n").unwrap());
    let run = callbacks.tool_start(&SHELL, "ls").await.unwrap();
    run.end(&json!("")).await.unwrap();
    let lines = screen.lines();
    let starts = ["✓ two", "✓ one", "hello", "✓ Shell"];
    assert_eq!(lines.len(), starts.len(), "{lines:?}");
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{lines:?}");
    }
}

/// Is gone, and says whether it is still kept.
struct Gone(#[expect(dead_code, reason = "is dropped with it")] Arc<()>);

impl Write for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_terminal_that_is_gone_is_no_error_and_nothing_is_left_behind() {
    let kept = Arc::new(());
    let progress = Arc::new(Progress::to(Gone(kept.clone())));
    let callbacks = Callbacks::new().with(handler(progress.clone()).raise_errors());
    for _ in 0..3 {
        let run = model(&callbacks).await;
        run.new_token("x").await.unwrap();
        progress.suspend(|| ());
        end(run).await;
    }
    let open = model(&callbacks).await;
    drop((open, progress));
    let report = callbacks.flush(LONG).await;
    assert!(report.is_complete(), "{report:?}");
    drop(callbacks);
    // Tasks, lanes and the thread that turns the spinners let go of it when they next look.
    let deadline = Instant::now() + LONG;
    while Arc::strong_count(&kept) > 1 && Instant::now() < deadline {
        tokio::task::yield_now().await;
    }
    assert_eq!(Arc::strong_count(&kept), 1);
}
