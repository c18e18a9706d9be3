//! What the two sides tell each other about their runs, and what garbage does not do.

mod common;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use callbacks::testing::Recorder;
use callbacks::{Callbacks, Run, callback_handler};
use callbacks_rmcp::{REMOTE_RUN_ID, RemoteRun, ToolClient, ToolServer, trace_context};
use common::params;
use common::server::Probe;
use common::wire::connect_here;
use rmcp::model::RequestMetaObject;
use serde_json::{Value, json};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn meta(value: &Value) -> RequestMetaObject {
    RequestMetaObject::from(value.as_object().unwrap().clone())
}

#[tokio::test]
async fn a_trace_context_goes_with_the_call() {
    let given = Arc::new(Mutex::new(None));
    let tools = ToolClient::new().propagating({
        let given = given.clone();
        move |run, headers| {
            *given.lock().unwrap() = Some(run.id());
            headers.insert("traceparent".to_owned(), PARENT.to_owned());
            headers.insert("tracestate".to_owned(), "vendor=1".to_owned());
        }
    });
    let probe = Probe::new();
    let received = Arc::new(Mutex::new(HashMap::new()));
    let server = ToolServer::per_request(probe.clone(), {
        let (received, callbacks) = (received.clone(), probe.callbacks.clone());
        move |request| {
            *received.lock().unwrap() = trace_context(&request.meta);
            callbacks.tag("continued")
        }
    });
    let (client, _server) = connect_here(&tools, server).await;
    let recorder = Recorder::new();
    let callbacks = Callbacks::new().with(recorder.clone());
    tools
        .call_tool(&client, params("nothing", &json!({})), &callbacks)
        .await
        .unwrap();

    let run = recorder.events()[0].run().id();
    assert_eq!(*given.lock().unwrap(), Some(run));
    let expected = [("traceparent", PARENT), ("tracestate", "vendor=1")];
    let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(*received.lock().unwrap(), HashMap::from(expected));
    let there = probe.recorder.events();
    assert_eq!(there[0].run().tags(), ["continued"]);
    assert_eq!(there[0].run().metadata()[REMOTE_RUN_ID], run.to_string());
}

/// The metadata that a call arrives with, of a client that writes a trace context.
async fn arrives(given: &Value, callbacks: &Callbacks) -> Value {
    let tools = ToolClient::new().propagating(|_, headers| {
        headers.insert("traceparent".to_owned(), PARENT.to_owned());
    });
    let (client, _server) = connect_here(&tools, Probe::new()).await;
    let mut params = params("meta", &json!({}));
    params.meta = given.as_object().map(|_| meta(given));
    let result = tools.call_tool(&client, params, callbacks).await.unwrap();
    serde_json::from_str(&result.content[0].as_text().unwrap().text).unwrap()
}

#[tokio::test]
async fn what_the_caller_says_holds() {
    let callbacks = Callbacks::new().with(Recorder::new());
    let arrived = arrives(&Value::Null, &callbacks).await;
    assert_eq!(arrived["traceparent"], PARENT);

    let own = PARENT.replace("-01", "-00");
    let given = json!({ "traceparent": own, "com.example/user": 42 });
    let arrived = arrives(&given, &callbacks).await;
    assert_eq!(arrived["traceparent"], own);
    assert_eq!(arrived["com.example/user"], 42);
    // Half of one and half of another is none.
    let arrived = arrives(&json!({ "tracestate": "vendor=1" }), &callbacks).await;
    assert_eq!(arrived.get("traceparent"), None);
    assert_eq!(arrived["tracestate"], "vendor=1");
}

#[tokio::test]
async fn a_run_that_nobody_listens_to_names_the_one_around_it() {
    let silent = Callbacks::new();
    let arrived = arrives(&Value::Null, &silent).await;
    assert_eq!(arrived, json!({ "progressToken": 0 }));

    let agent = silent.chain_start(None, json!({})).await.unwrap();
    let arrived = arrives(&Value::Null, agent.callbacks()).await;
    let remote = RemoteRun::of(&meta(&arrived)).unwrap();
    assert_eq!(remote.root_id, agent.id());
    assert_ne!(remote.id, agent.id());
    agent.end(json!({})).await.unwrap();
}

#[test]
fn garbage_names_no_run() {
    let (root, id) = (
        "0190a6b052a17f3c8d5e3a1b2c3d4e5f",
        "0190a6b052a17f3c8d5e3a1b2c3d4e60",
    );
    let nil = "0".repeat(32);
    let of = |run: Value| RemoteRun::of(&meta(&json!({ "io.crates.callbacks/run": run })));
    let remote = of(json!(format!("{root}-{id}"))).unwrap();
    assert_eq!(
        remote.root_id.to_string(),
        "0190a6b0-52a1-7f3c-8d5e-3a1b2c3d4e5f"
    );
    assert_eq!(
        remote.id.to_string(),
        "0190a6b0-52a1-7f3c-8d5e-3a1b2c3d4e60"
    );
    for garbage in [
        Value::Null,
        json!(7),
        json!([root, id]),
        json!({ "id": id }),
        json!(""),
        json!("-"),
        json!(id),
        json!(format!("{root}-")),
        json!(format!("-{id}")),
        json!(format!("{root}-{id}-{id}")),
        json!(format!("{root}-{}", &id[1..])),
        json!(format!("{root}-0{id}")),
        json!(format!("{root}-+{}", &id[1..])),
        json!(format!("{root}-{}é", &id[2..])),
        json!(format!("{root}-{}", id.replace('a', "x"))),
        json!(format!("{root}-{nil}")),
        json!(format!("{nil}-{id}")),
        json!("0".repeat(1 << 20)),
    ] {
        assert_eq!(of(garbage.clone()), None, "{garbage}");
    }
    assert_eq!(RemoteRun::of(&RequestMetaObject::new()), None);
}

#[test]
fn a_trace_context_is_of_texts() {
    let given = meta(&json!({
        "traceparent": 7,
        "tracestate": { "a": 1 },
        "baggage": "user=42",
        "progressToken": 0,
    }));
    let expected = HashMap::from([("baggage".to_owned(), "user=42".to_owned())]);
    assert_eq!(trace_context(&given), expected);
}

/// Calls with garbage in their metadata run as others do.
#[tokio::test]
async fn garbage_does_not_fail_a_call() {
    let probe = Probe::new();
    let tools = ToolClient::new();
    let (client, _server) = connect_here(&tools, probe.with_runs()).await;
    let mut params = params("nothing", &json!({}));
    params.meta = Some(meta(&json!({
        "io.crates.callbacks/run": { "id": [] },
        "traceparent": "00-zz",
        "tracestate": null,
    })));
    client.call_tool(params).await.unwrap();
    let events = probe.recorder.events();
    assert_eq!(events.len(), 2);
    assert!(events[0].run().metadata().is_empty());
}

/// Looks at the run from within a call.
struct Look(Mutex<Vec<Value>>);

#[callback_handler]
impl Look {
    fn on_chain_start(&self, run: &Run<'_>) {
        self.0
            .lock()
            .unwrap()
            .push(run.metadata()[REMOTE_RUN_ID].clone());
    }
}

#[tokio::test]
async fn handlers_of_what_runs_in_a_tool_know_the_client() {
    let look = Arc::new(Look(Mutex::default()));
    let server = ToolServer::new(Probe::new(), Callbacks::new().with(look.clone()));
    let tools = ToolClient::new();
    let (client, _server) = connect_here(&tools, server).await;
    let recorder = Recorder::new();
    let callbacks = Callbacks::new().with(recorder.clone());
    tools
        .call_tool(&client, params("nest", &json!({})), &callbacks)
        .await
        .unwrap();
    let run = recorder.events()[0].run().id();
    assert_eq!(*look.0.lock().unwrap(), [json!(run.to_string())]);
}
