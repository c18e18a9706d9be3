//! `JsonLines`: what is written is there whatever happens, can be read, and can be sent through
//! handlers again.

mod files;
mod full_disk;
mod killed;
mod lines;
mod payloads;
mod replay_ends;
mod replaying;
mod same_ids;
mod times;
mod torn;
mod writers;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use callbacks::events::AnyEvent;
use callbacks::handlers::JsonLines;
use callbacks::testing::Recorded;
use callbacks::{
    AgentAction, AgentFinish, Callbacks, Chunk, Document, EmitError, LlmResult, Message,
    ModelParams, Record, RetryState, RunError, RunInfo, RunKind, Serialized,
};
use callbacks_tests::{MODEL, RETRIEVER, TOOL};
use serde_json::{Value, json};
use tempfile::TempDir;

static AGENT: Serialized = Serialized::new("Agent");

/// A folder that is gone at the end of the test, and a file in it.
fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.jsonl");
    (folder, path)
}

/// All events of a recording.
fn records(path: &PathBuf) -> Vec<Record> {
    let records = JsonLines::read(path).unwrap();
    records.map(Result::unwrap).collect()
}

fn text(path: &PathBuf) -> String {
    fs::read_to_string(path).unwrap()
}

/// All that is known of a run, without that of the runs around it.
fn run(run: &RunInfo) -> Value {
    let started_at = run.started_at().duration_since(UNIX_EPOCH).unwrap();
    json!([
        (run.id(), run.parent_id(), run.root_id()),
        run.kind().as_str(),
        run.name(),
        run.tags(),
        run.metadata(),
        u64::try_from(started_at.as_micros()).unwrap(),
    ])
}

/// All that there is to an event.
fn whole(info: &RunInfo, seq: u64, event: AnyEvent<'_>) -> String {
    let mut runs = vec![run(info)];
    let mut around = info.parent();
    while let Some(parent) = around {
        runs.push(run(parent));
        around = parent.parent();
    }
    // Numbers are compared by how they are shown, which is exact.
    format!("{seq} {} {event:?}", Value::from(runs))
}

/// One tree after another: in the background, that of several trees is in no order.
fn by_tree<T>(events: Vec<T>, run: impl Fn(&T) -> &RunInfo) -> Vec<T> {
    let mut events = events;
    events.sort_by_key(|event| run(event).root_id());
    events
}

fn read(records: &[Record]) -> Vec<String> {
    let whole = |record: &Record| whole(record.run(), record.seq(), record.event());
    records.iter().map(whole).collect()
}

fn heard(events: &[Recorded]) -> Vec<String> {
    let whole = |event: &Recorded| whole(event.run(), event.seq(), event.event());
    events.iter().map(whole).collect()
}

fn error() -> RunError {
    let error = RunError::from(std::fmt::Error);
    error.with_sources(["it was late"])
}

/// Emits every built-in event, with all that it can have.
async fn everything(callbacks: &Callbacks) -> Result<(), EmitError> {
    let params = ModelParams::default()
        .with_temperature(0.7)
        .with_extra("effort", json!([123_456_789.012_345, u64::MAX, i64::MIN]));
    let serialized = Serialized::new("Agent").with_kwarg("max \"steps\"", -3);
    let inputs = json!({ "question": "line\r\nbreak \u{2028}\u{2029}\u{85}\u{0} 🦀" });
    let agent = callbacks.chain_start(&serialized, inputs);
    let agent = agent.kind(RunKind::Agent).await?;
    let inside = agent.callbacks().tag("inner").metadata("depth", 1);

    let result = LlmResult::from_text("Because.");
    let model = inside.llm_start(&MODEL, || vec!["Why?".to_owned()]);
    let model = model.params(&params).await?;
    model.new_token("").await?;
    model.new_token("Because").await?;
    model.new_chunk(Chunk::text(".").with_choice(1)).await?;
    let wait = Duration::new(1, 234_567_891);
    let retry = RetryState::new(1).with_wait(wait).with_error(error());
    model.retry(retry).await?;
    model.end(&result).await?;
    let messages = vec![Message::system("Be nice"), Message::human("Why?")];
    let chat = inside.chat_model_start(&MODEL, &messages).await?;
    chat.error(&error()).partial(&result).await?;

    let action = AgentAction::new("Tool", json!("1 + 1"));
    agent.agent_action(action).await?;
    let tool = inside.tool_start(&TOOL, "1 + 1").tool_call_id("call-1");
    let tool = tool.inputs(&json!({ "sum": [1, 1] })).await?;
    tool.text("adding").await?;
    tool.custom_event("progress", json!(0.5)).await?;
    tool.end(json!(2)).await?;
    let tool = inside.tool_start(&TOOL, "1 / 0").await?;
    tool.error(&error()).await?;

    let search = inside.retriever_start(&RETRIEVER, "tea").await?;
    let found = vec![Document::new("Tea").with_score(0.7)];
    search.end(found).await?;
    let search = inside.retriever_start(&RETRIEVER, "tea").await?;
    search.error(&error()).await?;

    agent.agent_finish(AgentFinish::new(json!(2))).await?;
    agent.end(json!({ "answer": 2 })).await?;
    let chain = callbacks.chain_start(&AGENT, Value::Null).name("reranker");
    let chain = chain.kind(RunKind::Custom("rerank")).await?;
    chain.error(&error()).await?;
    callbacks.custom_event("outside", json!([])).await
}
