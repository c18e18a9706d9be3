//! Runs on both sides of a connection, over every transport.

mod common;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use callbacks::events::AnyEvent;
use callbacks::{ErrorKind, Serialized};
use callbacks_rmcp::{CallError, REMOTE_ROOT_ID, REMOTE_RUN_ID, events};
use common::server::{Probe, how_far, while_pending};
use common::wire::{Connection, SERVE, Wire};
use common::{error, over, params, shortly};
use libtest_mimic::{Arguments, Trial};
use rmcp::ServiceExt;
use rmcp::model::CallToolResult;
use rmcp::service::ServiceError;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap();
    let args: Vec<_> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == SERVE) {
        runtime.block_on(serve(args.len() > 1));
        return ExitCode::SUCCESS;
    }
    let runtime = Arc::new(runtime);
    let trials = Wire::ALL
        .into_iter()
        .flat_map(|wire| trials(wire, &runtime));
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

fn trials(wire: Wire, runtime: &Arc<Runtime>) -> Vec<Trial> {
    macro_rules! trials {
        ($($scenario:ident)*) => {
            vec![$({
                let runtime = runtime.clone();
                let name = format!("{}::{}", wire.name(), stringify!($scenario));
                Trial::test(name, move || {
                    runtime.block_on($scenario(wire));
                    Ok(())
                })
            }),*]
        };
    }
    let mut trials = trials![
        results_are_those_without_runs
        a_request_that_nobody_listens_to_is_that_without_runs
        both_sides_have_a_run_of_their_own
        runs_nest_on_both_sides
        errors_say_which_they_are
        progress_comes_in_order
        progress_of_parallel_calls_is_told_apart
        dropping_a_call_cancels_it_on_the_server
        a_deaf_tool_is_cancelled_all_the_same
        a_tool_that_panics
        the_death_of_the_server
    ];
    // Only new protocols have it.
    if wire == Wire::HttpWithoutSessions {
        trials.extend(trials![a_round_with_a_question_is_one_run_for_the_client]);
    }
    trials
}

/// What the child process does.
async fn serve(with_runs: bool) {
    let probe = Probe::new();
    let stdio = rmcp::transport::stdio();
    if with_runs {
        probe
            .with_runs()
            .serve(stdio)
            .await
            .unwrap()
            .waiting()
            .await
            .unwrap();
    } else {
        probe.serve(stdio).await.unwrap().waiting().await.unwrap();
    }
}

/// Calls that come to an end on their own.
fn calls() -> Vec<(&'static str, Value)> {
    vec![
        ("add", json!({ "a": 1, "b": 2 })),
        ("add", json!({ "a": "one" })),
        ("add", Value::Null),
        ("table", json!({})),
        ("nothing", json!({})),
        ("count", json!({ "up_to": 20 })),
        ("fail", json!({})),
        ("fail_structured", json!({})),
        ("refuse", json!({})),
        ("no_such_tool", json!({ "a": [1, { "b": null }] })),
        ("nest", json!({})),
        ("ask", json!({})),
    ]
}

fn as_text(result: &Result<CallToolResult, ServiceError>) -> String {
    match result {
        Ok(result) => serde_json::to_string(result).unwrap(),
        Err(error) => format!("{error:?}"),
    }
}

fn service_error(error: CallError) -> ServiceError {
    match error {
        CallError::Service(error) => error,
        other => panic!("no error of the service: {other:?}"),
    }
}

async fn results_are_those_without_runs(wire: Wire) {
    let (plain, _server) = wire.connect_plainly().await;
    let connection = wire.connect().await;
    for (tool, arguments) in calls() {
        let without = plain.call_tool(params(tool, &arguments)).await;
        let with = connection.call(tool, arguments.clone()).await;
        let with = with.map_err(service_error);
        assert_eq!(as_text(&with), as_text(&without), "{tool} {arguments}");
    }
    assert_eq!(over(&connection.recorder.events()), calls().len());
    connection.recorder.assert_balanced();
}

async fn a_request_that_nobody_listens_to_is_that_without_runs(wire: Wire) {
    let (plain, _server) = wire.connect_plainly().await;
    let connection = wire.connect().await;
    let without = plain.call_tool(params("meta", &Value::Null)).await.unwrap();
    let nobody = callbacks::Callbacks::new();
    let meta = params("meta", &Value::Null);
    let with = connection
        .tools
        .call_tool(&connection.client, meta, &nobody)
        .await
        .unwrap();
    assert_eq!(as_text(&Ok(with)), as_text(&Ok(without)));
}

async fn both_sides_have_a_run_of_their_own(wire: Wire) {
    let connection = wire.connect().await;
    let arguments = json!({ "a": 1, "b": 2 });
    let request = params("add", &arguments);
    let call = connection
        .tools
        .call_tool(&connection.client, request, &connection.callbacks);
    let result = call.tool_call_id("call_1").await.unwrap();

    let events = connection.recorder.events();
    assert_eq!(shortly(&events), ["> add", "< add"]);
    let AnyEvent::ToolStart(start) = events[0].event() else {
        unreachable!()
    };
    assert_eq!(start.serialized.unwrap().name, "add");
    assert_eq!(start.input, r#"{"a":1,"b":2}"#);
    assert_eq!(start.inputs, Some(&arguments));
    assert_eq!(start.tool_call_id, Some("call_1"));
    let AnyEvent::ToolEnd(end) = events[1].event() else {
        unreachable!()
    };
    assert_eq!(*end.output, serde_json::to_value(&result).unwrap());
    assert_eq!(end.tool_call_id, Some("call_1"));

    let seen = connection.seen(1).await;
    assert_eq!(seen.lines(), ["> add", "< add"]);
    let output = seen.events[1].output.as_ref().unwrap();
    assert_eq!(output["content"], json!([{ "type": "text", "text": "3" }]));
    assert_eq!(seen.problems, None);
}

async fn runs_nest_on_both_sides(wire: Wire) {
    static AGENT: Serialized = Serialized::new("agent");
    let connection = wire.connect().await;
    let agent = connection
        .callbacks
        .chain_start(&AGENT, json!({}))
        .await
        .unwrap();
    let call = params("nest", &json!({}));
    let call = connection
        .tools
        .call_tool(&connection.client, call, agent.callbacks());
    call.await.unwrap();
    let root = agent.id();
    agent.end(json!({})).await.unwrap();

    let events = connection.recorder.events();
    assert_eq!(shortly(&events), ["> agent", "> nest", "< nest", "< agent"]);
    let here = events[1].run();
    assert_eq!(here.parent_id(), Some(root));
    connection.recorder.assert_balanced();

    let seen = connection.seen(2).await;
    assert_eq!(
        seen.lines(),
        ["> nest", "> plan", "> step", "< step", "< plan", "< nest"]
    );
    assert_eq!(seen.problems, None);
    let [tool, plan, step, ..] = &seen.events[..] else {
        unreachable!()
    };
    assert_eq!(tool.parent, None);
    assert_eq!(plan.parent.as_ref(), Some(&tool.run));
    assert_eq!(step.parent.as_ref(), Some(&plan.run));
    // All that runs there says whom it runs for.
    for event in &seen.events {
        assert_eq!(event.metadata[REMOTE_RUN_ID], here.id().to_string());
        assert_eq!(event.metadata[REMOTE_ROOT_ID], root.to_string());
    }
}

async fn errors_say_which_they_are(wire: Wire) {
    let connection = wire.connect().await;
    for (runs, (tool, type_name, message)) in (1..).zip([
        ("fail", "tool_error", "no such book"),
        ("fail_structured", "tool_error", r#"{"code":7}"#),
        (
            "refuse",
            "-32603",
            r#"-32603: the library is closed({"shelf":3})"#,
        ),
        ("unknown", "-32602", "-32602: no tool is called unknown"),
    ]) {
        let _ = connection.call(tool, json!({})).await;
        let here = error(&connection.recorder.take());
        let there = connection.seen(runs).await;
        let there = there.events.last().unwrap().error.clone().unwrap();
        for error in [here, there] {
            assert_eq!(error.kind, ErrorKind::Failed, "{tool}");
            assert_eq!(error.type_name, type_name, "{tool}");
            assert_eq!(error.message, message, "{tool}");
        }
    }
    assert_eq!(connection.seen(4).await.problems, None);
}

async fn progress_comes_in_order(wire: Wire) {
    let connection = wire.connect().await;
    let result = connection.call("count", json!({ "up_to": 1000 })).await;
    assert!(result.is_ok());
    // All of it is told before the call returns.
    let progress = connection.progress.events();
    let told: Vec<_> = progress.iter().map(how_far).collect();
    let expected: Vec<_> = (1..=1000).map(f64::from).collect();
    assert_eq!(told, expected);
    let events::AnyEvent::ToolProgress(event) = progress[0].event() else {
        unreachable!()
    };
    assert_eq!((event.total, event.message), (None, Some("counting")));

    let [start, end] = &connection.recorder.events()[..] else {
        panic!("{:?}", connection.recorder);
    };
    let mut last = start.seq();
    for progress in &progress {
        assert_eq!(progress.run().id(), start.run().id());
        assert!(last < progress.seq());
        last = progress.seq();
    }
    assert!(last < end.seq());
    connection.recorder.assert_balanced();
    assert_eq!(connection.seen(1).await.progress, expected);

    // The client's own handler is told as ever: in tasks of their own, which nobody waits for.
    let told = &connection.client.service().told;
    while told.load(Ordering::SeqCst) < 1000 {
        tokio::task::yield_now().await;
    }
}

async fn progress_of_parallel_calls_is_told_apart(wire: Wire) {
    let connection = Arc::new(wire.connect().await);
    let mut calls = JoinSet::new();
    for call in 0..40 {
        let connection = connection.clone();
        calls.spawn(async move {
            connection
                .call("count", json!({ "up_to": 5 + call % 7 }))
                .await
        });
    }
    while let Some(called) = calls.join_next().await {
        called.unwrap().unwrap();
    }
    let events = connection.recorder.events();
    assert_eq!(over(&events), 40);
    connection.recorder.assert_balanced();
    for recorded in &events {
        let AnyEvent::ToolStart(start) = recorded.event() else {
            continue;
        };
        let up_to = start.inputs.unwrap()["up_to"].as_i64().unwrap();
        let of_run = connection.progress.of_run(recorded.run().id());
        let told: Vec<_> = of_run.iter().map(how_far).collect();
        let expected: Vec<_> = (1..=up_to.try_into().unwrap()).map(f64::from).collect();
        assert_eq!(told, expected);
    }
    let seen = connection.seen(40).await;
    assert_eq!(seen.problems, None);
}

/// Calls the tool, and drops the call once the tool runs.
async fn dropped_midway(connection: &Connection, tool: &'static str) {
    let call = connection.call(tool, json!({}));
    while_pending(call, connection.entered()).await;
    let events = connection.recorder.until(|events| over(events) == 1).await;
    let dropped = format!("! {tool} dropped");
    assert_eq!(shortly(&events), [format!("> {tool}"), dropped]);
    connection.recorder.assert_balanced();
}

async fn dropping_a_call_cancels_it_on_the_server(wire: Wire) {
    let connection = wire.connect().await;
    dropped_midway(&connection, "wait").await;
    let seen = connection.seen(1).await;
    assert_eq!(seen.lines(), ["> wait", "! wait cancelled"]);
    assert_eq!(seen.problems, None);
    // The connection is as good as before.
    connection
        .call("add", json!({ "a": 1, "b": 2 }))
        .await
        .unwrap();
}

async fn a_deaf_tool_is_cancelled_all_the_same(wire: Wire) {
    let connection = wire.connect().await;
    dropped_midway(&connection, "hang").await;
    let seen = connection.seen(1).await;
    assert_eq!(seen.lines(), ["> hang", "! hang cancelled"]);
    assert_eq!(seen.problems, None);
}

async fn a_tool_that_panics(wire: Wire) {
    let connection = wire.connect().await;
    let call = connection.call("panic", json!({}));
    // rmcp answers nothing then, in a session.
    let seen = tokio::select! {
        _ = call => connection.seen(1).await,
        seen = connection.seen(1) => seen,
    };
    assert_eq!(seen.lines(), ["> panic", "! panic panicked"]);
    assert_eq!(seen.problems, None);
    let events = connection.recorder.until(|events| over(events) == 1).await;
    assert_eq!(events.len(), 2);
    connection.recorder.assert_balanced();
}

async fn the_death_of_the_server(wire: Wire) {
    let mut connection = wire.connect().await;
    let tool = if wire == Wire::Stdio { "exit" } else { "wait" };
    let (tools, callbacks) = (connection.tools.clone(), connection.callbacks.clone());
    let call = tools.call_tool(&connection.client, params(tool, &json!({})), &callbacks);
    let mut call = std::pin::pin!(call.into_future());
    let progress = connection.progress.clone();
    let result = tokio::select! {
        result = &mut call => result,
        _ = progress.until(|progress| !progress.is_empty()) => {
            connection.server.kill();
            call.await
        }
    };
    let error = service_error(result.unwrap_err());
    let here = common::error(&connection.recorder.events());
    assert_eq!(here.kind, ErrorKind::Failed);
    assert_eq!(here.message, error.to_string());
    connection.recorder.assert_balanced();
    if wire != Wire::Stdio {
        let seen = connection.probe.seen(1).await;
        assert_eq!(seen.events.len(), 2);
        assert_eq!(seen.problems, None);
    }
}

async fn a_round_with_a_question_is_one_run_for_the_client(wire: Wire) {
    let connection = wire.connect().await;
    let result = connection.call("ask", json!({})).await.unwrap();
    let text = result.content[0].as_text().unwrap();
    assert!(text.text.contains("a reader"), "{text:?}");
    assert_eq!(shortly(&connection.recorder.events()), ["> ask", "< ask"]);
    // Both rounds tell the one run.
    let told: Vec<_> = connection.progress.events().iter().map(how_far).collect();
    assert_eq!(told, [1.0, 2.0]);
    let seen = connection.seen(2).await;
    assert_eq!(seen.lines(), ["> ask", "< ask", "> ask", "< ask"]);
    let first = seen.events[1].output.as_ref().unwrap();
    assert_eq!(first["resultType"], "input_required");
    assert_eq!(
        seen.events[0].metadata[REMOTE_RUN_ID],
        seen.events[2].metadata[REMOTE_RUN_ID]
    );
}
