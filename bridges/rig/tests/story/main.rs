//! What is told of an agent: each run in its place, with what it was given and what came of it.

#[path = "../common/mod.rs"]
mod common;
mod models;
mod runs;
mod tools;

use callbacks::events::AnyEvent;
use callbacks::testing::Recorder;
use callbacks::{LlmResult, ModelParams};

const TOKENS: &str = "on_llm_new_token gpt-4o-mini in host";

fn params() -> ModelParams {
    ModelParams::new()
        .with_provider("openai")
        .with_model("gpt-4o-mini")
}

fn results(recorder: &Recorder) -> Vec<LlmResult> {
    let events = recorder.events();
    let ends = events.iter().filter_map(|event| match event.event() {
        AnyEvent::LlmEnd(event) => Some(event.response.clone()),
        _ => None,
    });
    ends.collect()
}
