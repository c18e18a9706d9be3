//! A server whose tools do what a test wants done, and connections to it over every transport.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "the tests that share it are crates of their own"
)]

pub mod server;
pub mod wire;

use std::pin::Pin;
use std::task::{Context, Poll};

use callbacks::RunError;
use callbacks::events::AnyEvent;
use callbacks::testing::Recorded;
use rmcp::model::CallToolRequestParams;
use serde_json::Value;

/// The parameters of a call.
pub fn params(tool: &'static str, arguments: &Value) -> CallToolRequestParams {
    let params = CallToolRequestParams::new(tool);
    match arguments.as_object() {
        Some(arguments) => params.with_arguments(arguments.clone()),
        None => params,
    }
}

/// The events of tools, shortly: `> add`, `< add`, and `! add cancelled`.
pub fn shortly(events: &[Recorded]) -> Vec<String> {
    let line = |recorded: &Recorded| {
        let name = recorded.run().name();
        match recorded.event() {
            AnyEvent::ToolStart(_) | AnyEvent::ChainStart(_) => format!("> {name}"),
            AnyEvent::ToolEnd(_) | AnyEvent::ChainEnd(_) => format!("< {name}"),
            AnyEvent::ToolError(event) => format!("! {name} {}", event.error.kind),
            other => format!("? {name} {other:?}"),
        }
    };
    events.iter().map(line).collect()
}

/// The error of the one tool that failed.
pub fn error(events: &[Recorded]) -> RunError {
    let errors = events.iter().filter_map(|recorded| match recorded.event() {
        AnyEvent::ToolError(event) => Some(event.error.clone()),
        _ => None,
    });
    let errors: Vec<_> = errors.collect();
    let [error] = &errors[..] else {
        panic!("one error expected: {errors:?}");
    };
    error.clone()
}

/// How many runs of tools are over.
pub fn over(events: &[Recorded]) -> usize {
    let over = |recorded: &&Recorded| {
        let event = recorded.event();
        matches!(event, AnyEvent::ToolEnd(_) | AnyEvent::ToolError(_))
    };
    events.iter().filter(over).count()
}

/// What a server's record says about its runs, fit to be sent.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Seen {
    pub events: Vec<SeenEvent>,
    pub progress: Vec<f64>,
    /// What is wrong with the record.
    pub problems: Option<String>,
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct SeenEvent {
    pub line: String,
    pub run: String,
    pub parent: Option<String>,
    pub metadata: serde_json::Map<String, Value>,
    pub output: Option<Value>,
    pub error: Option<RunError>,
}

impl Seen {
    pub fn lines(&self) -> Vec<&str> {
        self.events
            .iter()
            .map(|event| event.line.as_str())
            .collect()
    }
}

impl SeenEvent {
    pub fn of(recorded: &Recorded) -> Self {
        let [line] = &shortly(std::slice::from_ref(recorded))[..] else {
            unreachable!("one line for one event");
        };
        let (output, error) = match recorded.event() {
            AnyEvent::ToolEnd(event) => (Some(event.output.clone()), None),
            AnyEvent::ToolError(event) => (None, Some(event.error.clone())),
            _ => (None, None),
        };
        Self {
            line: line.clone(),
            run: recorded.run().id().to_string(),
            parent: recorded.run().parent_id().map(|id| id.to_string()),
            metadata: recorded.run().metadata().clone().into_iter().collect(),
            output,
            error,
        }
    }
}

/// Polls a future so many times, and no more.
pub struct Polls<F> {
    pub future: Pin<Box<F>>,
    pub left: usize,
}

impl<F: Future> Polls<F> {
    pub fn new(future: F, left: usize) -> Self {
        let future = Box::pin(future);
        Self { future, left }
    }
}

impl<F: Future> Future for Polls<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        self.future.as_mut().poll(cx).map(Some)
    }
}
