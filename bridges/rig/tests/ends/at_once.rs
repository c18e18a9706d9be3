//! Requests at once to one agent have each their own end.

use std::sync::Arc;

use callbacks::testing::Recorder;
use callbacks_loopback::Gate;
use callbacks_rig::Observe;
use futures_util::future::join_all;
use rig_agent::tool::ToolOutput;
use tokio::sync::Barrier;
use tokio::task::yield_now;

use super::ask;
use crate::common::{
    self, ANSWER, agent, agent_with, failures, recorded, script, serve, settle, wants,
};

/// Requests to one agent poll each other's tools, so a panic of one is seen by any. Each has its own end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_among_requests_to_one_agent() {
    for _ in 0..20 {
        let server = serve(|request| {
            let panics = request.body["messages"].to_string().contains("panic");
            wants(if panics { "panics" } else { "weather" })(request)
        });
        let (recorder, callbacks) = recorded();
        let agent = agent(&server);
        let requests = (0..6).map(|index| {
            let (agent, callbacks) = (agent.clone(), callbacks.clone());
            let prompt = if index == 3 { "panic" } else { "go on" };
            tokio::spawn(async move { agent.prompt(prompt).observed(&callbacks).await.is_ok() })
        });
        join_all(requests).await;
        settle(&callbacks).await;
        recorder.assert_balanced();
    }
}

/// Many requests at once to one agent, and to several, with one value.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_at_once_do_not_mix() {
    let server = serve(script);
    let (recorder, callbacks) = recorded();
    let agents = [agent(&server), agent(&server)];
    let all = Arc::new(Barrier::new(12));
    let requests = (0..12).map(|index| {
        let agent = agents[index % 2].clone();
        let (callbacks, all) = (callbacks.tag(index.to_string()), all.clone());
        tokio::spawn(async move {
            all.wait().await;
            ask(&agent, index % 3 == 0, Some(&callbacks)).await
        })
    });
    for answer in join_all(requests).await {
        assert_eq!(answer.unwrap().as_deref(), Ok(ANSWER));
    }
    settle(&callbacks).await;
    recorder.assert_balanced();
    let events = recorder.events();
    let mut starts = vec![Vec::new(); 12];
    for event in &events {
        let run = event.run();
        // Whoever polled it: a tool is in the run of its own request.
        if let Some(parent) = run.parent() {
            assert_eq!(run.tags(), parent.tags());
            assert_eq!(parent.name(), "host");
        }
        if event.method().ends_with("_start") {
            let request: usize = run.tags()[0].parse().unwrap();
            starts[request].push(event.method());
        }
    }
    for mut starts in starts {
        starts.sort_unstable();
        let expected = [
            "on_chain_start",
            "on_chat_model_start",
            "on_chat_model_start",
            "on_tool_start",
            "on_tool_start",
        ];
        assert_eq!(starts, expected);
    }
}

/// One request to an agent is given up while others go on, with a tool of its own under way.
#[tokio::test]
async fn a_request_among_others_that_is_dropped() {
    let gate = Gate::new();
    let waiting = gate.clone();
    let waits = common::tool("waits", move |_| {
        let gate = waiting.clone();
        async move {
            gate.opened().await;
            Ok(ToolOutput::text("done"))
        }
    });
    let server = serve(wants("waits"));
    let agent = agent_with(&server, [waits]);
    let (kept, given_up) = (recorded(), recorded());
    let mut one = ask(&agent, false, Some(&kept.1));
    let mut other = ask(&agent, false, Some(&given_up.1));
    let in_tool = |recorder: &Recorder| {
        let events = recorder.events();
        events.iter().any(|event| event.method() == "on_tool_start")
    };
    while !in_tool(&kept.0) || !in_tool(&given_up.0) {
        assert!(futures_util::poll!(&mut one).is_pending());
        assert!(futures_util::poll!(&mut other).is_pending());
        yield_now().await;
    }
    drop(other);
    settle(&given_up.1).await;
    given_up.0.assert_balanced();
    let expected = [
        "on_tool_error dropped: the run was dropped before it ended",
        "on_chain_error dropped: the run was dropped before it ended",
    ];
    assert_eq!(failures(&given_up.0), expected);
    gate.open();
    assert_eq!(one.await.as_deref(), Ok(ANSWER));
    settle(&kept.1).await;
    kept.0.assert_balanced();
    assert_eq!(failures(&kept.0), [""; 0]);
}
