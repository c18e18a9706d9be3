//! Handlers that fail, and handlers that decide, on either side.

mod common;

use std::future::pending;
use std::sync::Arc;

use callbacks::events::{ToolEnd, ToolError, ToolStart};
use callbacks::testing::{Faulty, Recorder};
use callbacks::{
    Callbacks, Decision, EmitError, ErrorKind, Event, callback_handler, events::Events, handler,
};
use callbacks_rmcp::{CallError, ToolClient, ToolServer, events};
use common::server::{Probe, while_pending};
use common::wire::{Client, connect_here};
use common::{error, over, params, shortly};
use rmcp::model::{CallToolResult, ContentBlock, ErrorCode};
use rmcp::service::ServiceError;
use serde_json::{Value, json};
use tokio::sync::Notify;

struct Fixture {
    client: Client,
    tools: ToolClient,
    probe: Probe,
    recorder: Recorder,
    _server: Box<dyn std::any::Any>,
}

impl Fixture {
    /// With more handlers at the server.
    async fn new(more: impl Fn(&Callbacks) -> Callbacks) -> Self {
        let probe = Probe::new();
        let tools = ToolClient::new();
        let server = ToolServer::new(probe.clone(), more(&probe.callbacks));
        let (client, server) = connect_here(&tools, server).await;
        Self {
            client,
            tools,
            probe,
            recorder: Recorder::new(),
            _server: Box::new(server),
        }
    }

    /// With more handlers at the client.
    async fn call(
        &self,
        tool: &'static str,
        arguments: Value,
        more: impl Fn(&Callbacks) -> Callbacks,
    ) -> Result<CallToolResult, CallError> {
        let callbacks = more(&Callbacks::new().with(self.recorder.clone()));
        let params = params(tool, &arguments);
        self.tools.call_tool(&self.client, params, &callbacks).await
    }
}

fn none(callbacks: &Callbacks) -> Callbacks {
    callbacks.clone()
}

/// A result without the context that makes two of them differ.
fn show(result: &Result<CallToolResult, CallError>) -> String {
    match result {
        Ok(result) => serde_json::to_string(result).unwrap(),
        Err(error) => format!("{error:?}"),
    }
}

const CALLS: [(&str, &str); 4] = [
    ("add", r#"{"a":1,"b":2}"#),
    ("count", r#"{"up_to":3}"#),
    ("fail", "{}"),
    ("refuse", "{}"),
];

#[tokio::test]
async fn handlers_that_fail_change_nothing() {
    for faulty in [Faulty::error, Faulty::panic] {
        let fail = |callbacks: &Callbacks| {
            callbacks
                .with(faulty("no disk".to_owned()))
                .with(faulty("no disk".to_owned()).of::<events::Events>())
        };
        let sound = Fixture::new(none).await;
        let faulty = Fixture::new(fail).await;
        for (tool, arguments) in CALLS {
            let arguments: Value = serde_json::from_str(arguments).unwrap();
            let without = sound.call(tool, arguments.clone(), none).await;
            let with = faulty.call(tool, arguments, fail).await;
            assert_eq!(show(&with), show(&without));
        }
        assert_eq!(
            shortly(&faulty.recorder.events()),
            shortly(&sound.recorder.events())
        );
        for recorder in [&faulty.recorder, &faulty.probe.recorder] {
            assert_eq!(over(&recorder.events()), CALLS.len());
            recorder.assert_balanced();
        }
    }
}

/// A handler that fails for one event, and whose errors are raised.
fn raising<E: Event<Set = Events>>(callbacks: &Callbacks) -> Callbacks {
    let faulty = Faulty::error("over the limit").on::<E>();
    callbacks.with(handler(faulty).raise_errors().named("limit"))
}

fn raising_at_progress(callbacks: &Callbacks) -> Callbacks {
    let faulty = Faulty::error("over the limit").of::<events::Events>();
    callbacks.with(handler(faulty).raise_errors().named("limit"))
}

fn assert_raised(result: &Result<CallToolResult, CallError>, method: &str) {
    match result {
        Err(CallError::Emit(EmitError::Raised { event, .. })) => assert_eq!(*event, method),
        other => panic!("not raised: {other:?}"),
    }
}

#[tokio::test]
async fn what_a_client_raises_at_the_start_calls_nothing() {
    let fixture = Fixture::new(none).await;
    let result = fixture
        .call("add", json!({}), raising::<ToolStart<'_>>)
        .await;
    assert_raised(&result, "on_tool_start");
    assert_eq!(
        shortly(&fixture.recorder.events()),
        ["> add", "! add failed"]
    );
    assert!(fixture.probe.recorder.is_empty());
}

#[tokio::test]
async fn what_a_client_raises_at_the_end_fails_the_call() {
    let fixture = Fixture::new(none).await;
    let arguments = json!({ "a": 1, "b": 2 });
    let result = fixture.call("add", arguments, raising::<ToolEnd<'_>>).await;
    assert_raised(&result, "on_tool_end");
    // A tool that failed has a result, too.
    let result = fixture
        .call("fail", json!({}), raising::<ToolError<'_>>)
        .await;
    assert_raised(&result, "on_tool_error");
    // An error of the call itself is the greater evil.
    let result = fixture
        .call("refuse", json!({}), raising::<ToolError<'_>>)
        .await;
    assert!(matches!(
        result,
        Err(CallError::Service(ServiceError::McpError(_)))
    ));
    fixture.recorder.assert_balanced();
    assert_eq!(over(&fixture.recorder.events()), 3);
    assert_eq!(over(&fixture.probe.recorder.events()), 3);
}

#[tokio::test]
async fn what_a_client_raises_at_progress_cancels_the_call() {
    let fixture = Fixture::new(none).await;
    let result = fixture.call("wait", json!({}), raising_at_progress).await;
    assert_raised(&result, "on_tool_progress");
    assert_eq!(
        shortly(&fixture.recorder.events()),
        ["> wait", "! wait failed"]
    );
    let error = error(&fixture.recorder.events());
    assert!(error.message.contains("`limit`"), "{error}");
    let recorder = &fixture.probe.recorder;
    let events = recorder.until(|events| over(events) == 1).await;
    assert_eq!(shortly(&events), ["> wait", "! wait cancelled"]);
}

/// The error of the protocol with which a server answers what a handler raised.
fn assert_internal(result: Result<CallToolResult, CallError>) {
    let Err(CallError::Service(ServiceError::McpError(error))) = result else {
        panic!("no error of the protocol: {result:?}");
    };
    assert_eq!(error.code, ErrorCode::INTERNAL_ERROR);
    assert!(error.message.contains("`limit`"), "{error}");
    // What it failed with stays with the server.
    assert!(!error.message.contains("over the limit"), "{error}");
    assert_eq!(error.data, None);
}

#[tokio::test]
async fn what_a_server_raises_fails_the_call() {
    let fixture = Fixture::new(raising::<ToolStart<'_>>).await;
    let arguments = json!({ "a": 1, "b": 2 });
    assert_internal(fixture.call("add", arguments.clone(), none).await);
    let events = fixture.probe.recorder.events();
    assert_eq!(shortly(&events), ["> add", "! add failed"]);

    let fixture = Fixture::new(raising::<ToolEnd<'_>>).await;
    assert_internal(fixture.call("add", arguments, none).await);
    let events = fixture.probe.recorder.events();
    assert_eq!(shortly(&events), ["> add", "< add"]);

    // The tool's own error is told, as ever.
    let fixture = Fixture::new(raising::<ToolError<'_>>).await;
    let result = fixture.call("refuse", json!({}), none).await;
    let Err(CallError::Service(ServiceError::McpError(error))) = result else {
        panic!("{result:?}");
    };
    assert_eq!(error.message, "the library is closed");
}

#[tokio::test]
async fn what_a_server_raises_at_progress_is_the_tools_to_handle() {
    let fixture = Fixture::new(raising_at_progress).await;
    // This tool does not care.
    fixture
        .call("count", json!({ "up_to": 3 }), none)
        .await
        .unwrap();
    let events = fixture.probe.recorder.events();
    assert_eq!(shortly(&events), ["> count", "< count"]);
}

/// Decides what a test says.
struct Decide(Decision<String, Value>);

#[callback_handler]
impl Decide {
    fn on_tool_request(&self) -> Decision<String, Value> {
        self.0.clone()
    }
}

fn deciding(decision: Decision<String, Value>) -> impl Fn(&Callbacks) -> Callbacks {
    move |callbacks| callbacks.with(Decide(decision.clone()))
}

fn text(result: &CallToolResult) -> &str {
    let [block] = &result.content[..] else {
        panic!("one text expected: {result:?}");
    };
    &block.as_text().unwrap().text
}

/// The calls of either side, with what a handler of that side decided.
async fn decided(
    decision: Decision<String, Value>,
) -> [(Fixture, Result<CallToolResult, CallError>); 2] {
    let arguments = json!({ "a": 1, "b": 2 });
    let at_client = Fixture::new(none).await;
    let result = at_client
        .call("add", arguments.clone(), deciding(decision.clone()))
        .await;
    let at_server = Fixture::new(deciding(decision)).await;
    let result_of_server = at_server.call("add", arguments, none).await;
    [(at_client, result), (at_server, result_of_server)]
}

#[tokio::test]
async fn rewritten_arguments_are_those_that_the_tool_gets() {
    let rewrite = Decision::Rewrite(r#"{"a":40,"b":2}"#.to_owned());
    for (_fixture, result) in decided(rewrite).await {
        assert_eq!(text(&result.unwrap()), "42");
    }
}

#[tokio::test]
async fn arguments_that_are_rewritten_to_nonsense_are_a_stop() {
    for nonsense in ["40 + 2", "[1,2]", ""] {
        let [(client, stopped), (server, told)] =
            decided(Decision::Rewrite(nonsense.to_owned())).await;
        assert!(matches!(
            stopped,
            Err(CallError::Emit(EmitError::Stopped { .. }))
        ));
        let error = error(&client.recorder.events());
        assert_eq!(error.kind, ErrorKind::Stopped);
        assert!(client.probe.recorder.is_empty());

        let told = told.unwrap();
        assert_eq!(told.is_error, Some(true));
        assert!(text(&told).contains("no JSON object"), "{told:?}");
        let events = server.probe.recorder.events();
        assert_eq!(shortly(&events), ["> add", "! add stopped"]);
    }
}

#[tokio::test]
async fn an_answer_is_the_result() {
    let whole = CallToolResult::success(vec![ContentBlock::text("7"), ContentBlock::text("8")]);
    let whole_answer = serde_json::to_value(&whole).unwrap();
    for (answer, expected) in [
        (
            json!("forty-two"),
            CallToolResult::success(vec![ContentBlock::text("forty-two")]),
        ),
        (
            json!({ "sum": 42 }),
            CallToolResult::structured(json!({ "sum": 42 })),
        ),
        (
            json!({ "content": "not that" }),
            CallToolResult::structured(json!({ "content": "not that" })),
        ),
        (whole_answer, whole),
    ] {
        for (fixture, result) in decided(Decision::Answer(answer)).await {
            let mut result = result.unwrap();
            // Old protocols do not have it, so a server does not send it.
            result.result_type = expected.result_type.clone();
            assert_eq!(result, expected);
            for recorder in [&fixture.recorder, &fixture.probe.recorder] {
                recorder.assert_balanced();
            }
        }
    }
}

#[tokio::test]
async fn a_stop_is_an_error_that_a_model_can_read() {
    let [(client, stopped), (server, told)] = decided(Decision::Stop("not today".to_owned())).await;
    match stopped {
        Err(CallError::Emit(EmitError::Stopped { reason })) => assert_eq!(reason, "not today"),
        other => panic!("not stopped: {other:?}"),
    }
    assert_eq!(
        shortly(&client.recorder.events()),
        ["> add", "! add stopped"]
    );
    assert!(client.probe.recorder.is_empty());

    let told = told.unwrap();
    assert_eq!(told.is_error, Some(true));
    assert!(text(&told).contains("not today"), "{told:?}");
    assert_eq!(
        shortly(&server.probe.recorder.events()),
        ["> add", "! add stopped"]
    );
    assert_eq!(error(&server.recorder.events()).type_name, "tool_error");
}

/// Is asked, and never answers.
struct Hesitate(Arc<Notify>, Arc<Notify>);

/// Says when it is dropped.
struct Withdrawn(Arc<Notify>);

impl Drop for Withdrawn {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[callback_handler]
impl Hesitate {
    async fn on_tool_request(&self) -> Decision<String, Value> {
        let _withdrawn = Withdrawn(self.1.clone());
        self.0.notify_one();
        pending().await
    }
}

#[tokio::test]
async fn nobody_is_asked_about_a_call_that_is_cancelled() {
    let (asked, withdrawn) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let hesitate = Arc::new(Hesitate(asked.clone(), withdrawn.clone()));
    let fixture = Fixture::new(|callbacks| callbacks.with(hesitate.clone())).await;
    let call = fixture.call("add", json!({}), none);
    while_pending(call, asked.notified()).await;
    withdrawn.notified().await;
    // It never started there.
    assert!(fixture.probe.recorder.is_empty());
    let events = fixture.recorder.until(|events| over(events) == 1).await;
    assert_eq!(shortly(&events), ["> add", "! add dropped"]);
}
