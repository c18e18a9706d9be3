//! Decision events: handlers are asked one after another before a run starts, what they decide is done,
//! and whatever goes wrong is a stop.
#![allow(
    clippy::unnecessary_wraps,
    reason = "the answers of all handlers here have one type, whether they can fail or not"
)]

mod asked;
mod decided;
mod fails_closed;
mod failures;
mod models;
mod replies;
mod runs;
mod who;

use std::time::Duration;

use callbacks::{
    BoxError, Decision, EmitError, LlmDecision, Message, ToolDecision, callback_handler,
};
use callbacks_tests::Log;
use serde_json::json;

const LONG: Duration = Duration::from_secs(20);

type Answer<D> = fn(&str) -> Result<D, BoxError>;

/// Decides about tools, and says so.
struct Tools(Log, &'static str, Answer<ToolDecision>);

#[callback_handler]
impl Tools {
    fn on_tool_request(&self, input: &str) -> Result<ToolDecision, BoxError> {
        self.0.add(format_args!("{} is asked {input:?}", self.1));
        (self.2)(input)
    }
}

/// The same in an async method, which is not ready at once.
struct AsyncTools(Log, &'static str, Answer<ToolDecision>);

#[callback_handler]
impl AsyncTools {
    async fn on_tool_request(&self, input: &str) -> Result<ToolDecision, BoxError> {
        self.0.add(format_args!("{} is asked {input:?}", self.1));
        tokio::task::yield_now().await;
        (self.2)(input)
    }
}

/// Decides about models.
struct Models(Log, &'static str, Answer<LlmDecision>);

#[callback_handler]
impl Models {
    fn on_llm_request(&self, messages: &[Message]) -> Result<LlmDecision, BoxError> {
        let text = callbacks::buffer_string(messages);
        self.0.add(format_args!("{} is asked {text:?}", self.1));
        (self.2)(&text)
    }
}

fn go_on<R, A>(_: &str) -> Result<Decision<R, A>, BoxError> {
    Ok(Decision::Continue)
}

fn stop<R, A>(_: &str) -> Result<Decision<R, A>, BoxError> {
    Ok(Decision::Stop("no".to_owned()))
}

fn louder(input: &str) -> Result<ToolDecision, BoxError> {
    Ok(Decision::Rewrite(format!("{input}!")))
}

fn four(_: &str) -> Result<ToolDecision, BoxError> {
    Ok(Decision::Answer(json!(4)))
}

fn reason_of<T: std::fmt::Debug>(result: Result<T, EmitError>) -> String {
    match result {
        Err(EmitError::Stopped { reason }) => reason,
        other => panic!("not stopped: {other:?}"),
    }
}
