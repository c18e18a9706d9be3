//! However an agent ends, each of its runs has exactly one end, and the agent's own result is rig's.

mod around;
mod at_once;
#[path = "../common/mod.rs"]
mod common;
mod dropped;
mod failures;

use callbacks::events::AnyEvent;
use callbacks::testing::Recorder;
use callbacks::{Callbacks, LlmResult};
use callbacks_rig::Observe;
use futures_util::future::BoxFuture;
use rig_agent::Agent;

use crate::common::{read, recorded, settle};

/// The answer of an agent, or the text of its error.
type Answered = Result<String, String>;

/// Asks with callbacks or without, streaming or not, and with two tools at once.
fn ask<'a>(
    agent: &'a Agent,
    streamed: bool,
    callbacks: Option<&'a Callbacks>,
) -> BoxFuture<'a, Answered> {
    let run = agent.prompt("How is Rome?").tool_concurrency(2);
    Box::pin(async move {
        let response = match (callbacks, streamed) {
            (None, false) => run.await,
            (None, true) => read(run.stream()).await.1,
            (Some(callbacks), false) => run.observed(callbacks).await,
            (Some(callbacks), true) => read(run.observed(callbacks).stream()).await.1,
        };
        let response = response.map(|response| response.output());
        response.map_err(|error| error.to_string())
    })
}

/// Both ways, each beside rig alone, which has the same result.
async fn ask_both_ways(agent: &Agent) -> Vec<(Answered, Recorder)> {
    let mut all = Vec::new();
    for streamed in [false, true] {
        let (recorder, callbacks) = recorded();
        let answer = ask(agent, streamed, Some(&callbacks)).await;
        assert_eq!(answer, ask(agent, streamed, None).await);
        settle(&callbacks).await;
        recorder.assert_balanced();
        all.push((answer, recorder));
    }
    all
}

/// What had arrived of the answer of the model that failed.
fn partial(recorder: &Recorder) -> Option<LlmResult> {
    let events = recorder.events();
    let mut errors = events.iter().filter_map(|event| match event.event() {
        AnyEvent::LlmError(event) => Some(event.response.cloned()),
        _ => None,
    });
    errors.next().expect("a model has failed")
}
