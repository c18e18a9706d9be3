//! The run of an agent, as a whole: its models and tools inside it, however it is asked.

use std::collections::BTreeSet;

use callbacks::events::{AnyEvent, LlmNewToken};
use callbacks::testing::{Faulty, Recorder};
use callbacks::{Callbacks, RunKind, Serialized, handler};
use callbacks_loopback::{Answer, Server};
use callbacks_rig::Observe;
use futures_util::StreamExt;
use rig_agent::AgentRun;
use rig_agent::agent::ModelTurn;
use rig_core::completion::{CompletionResponse, Message as RigMessage, ToolDefinition, Usage};
use rig_core::message::{AssistantContent, Origin, ToolName};
use serde_json::json;

use super::{TOKENS, params, results};
use crate::common::{
    ANSWER, agent, answers, is_first, lines, read, recorded, script, serve, settle, usage,
};

#[tokio::test]
async fn a_run_with_tools() {
    let server = serve(script);
    let (recorder, callbacks) = recorded();
    let run = agent(&server).prompt("How is Rome?").observed(&callbacks);
    let response = run.params(params()).await.unwrap();
    assert_eq!(response.output(), ANSWER);
    settle(&callbacks).await;
    recorder.assert_balanced();
    recorder.assert_in_order();
    let expected = [
        "on_chain_start host",
        "on_chat_model_start gpt-4o-mini in host",
        "on_llm_end gpt-4o-mini in host",
        "on_agent_action host",
        "on_agent_action host",
        "on_tool_start weather in host",
        "on_tool_end weather in host",
        "on_tool_start time in host",
        "on_tool_end time in host",
        "on_chat_model_start gpt-4o-mini in host",
        "on_llm_end gpt-4o-mini in host",
        "on_agent_finish host",
        "on_chain_end host",
    ];
    assert_eq!(lines(&recorder), expected);
    let mut told = Vec::new();
    for event in &recorder.events() {
        told.push(match event.event() {
            AnyEvent::ChainStart(start) => {
                assert_eq!(event.run().kind(), RunKind::Agent);
                json!(start.inputs)
            }
            AnyEvent::ChainEnd(end) => json!(end.outputs),
            AnyEvent::AgentAction(event) => json!(event.action),
            AnyEvent::ToolStart(start) => json!([start.input, start.inputs, start.tool_call_id]),
            AnyEvent::ToolEnd(end) => json!([end.output, end.tool_call_id]),
            _ => continue,
        });
    }
    let expected = json!([
        { "prompt": "How is Rome?" },
        { "tool": "weather", "tool_input": { "city": "Rome" } },
        { "tool": "time", "tool_input": {} },
        [r#"{"city":"Rome"}"#, { "city": "Rome" }, "call_1"],
        ["sunny in Rome", "call_1"],
        ["{}", {}, "call_2"],
        [{ "hour": 12 }, "call_2"],
        { "output": ANSWER },
    ]);
    assert_eq!(json!(told), expected);
}

#[tokio::test]
async fn a_stream_with_tools() {
    let server = serve(script);
    let (recorder, callbacks) = recorded();
    let run = agent(&server).prompt("How is Rome?").observed(&callbacks);
    let (_, response) = read(run.params(params()).stream()).await;
    assert_eq!(response.unwrap().output(), ANSWER);
    settle(&callbacks).await;
    recorder.assert_balanced();
    recorder.assert_in_order();
    let expected = [
        "on_chain_start host",
        "on_chat_model_start gpt-4o-mini in host",
        TOKENS,
        TOKENS,
        TOKENS,
        TOKENS,
        TOKENS,
        "on_llm_end gpt-4o-mini in host",
        "on_agent_action host",
        "on_agent_action host",
        "on_tool_start weather in host",
        "on_tool_end weather in host",
        "on_tool_start time in host",
        "on_tool_end time in host",
        "on_chat_model_start gpt-4o-mini in host",
        TOKENS,
        TOKENS,
        TOKENS,
        "on_llm_end gpt-4o-mini in host",
        "on_agent_finish host",
        "on_chain_end host",
    ];
    assert_eq!(lines(&recorder), expected);
    let events = recorder.events();
    let tokens = events.iter().filter_map(|event| match event.event() {
        AnyEvent::LlmNewToken(event) => Some(match event.chunk {
            Some(chunk) => json!(chunk),
            None => json!(event.token),
        }),
        _ => None,
    });
    let expected = json!([
        "Let me",
        " look.",
        { "text": "", "choice": 0, "tool_calls": [{ "index": 0, "name": "weather", "args": r#"{"city":"# }] },
        { "text": "", "choice": 0, "tool_calls": [{ "index": 1, "name": "time", "args": "{}" }] },
        { "text": "", "choice": 0, "tool_calls": [{ "index": 0, "args": r#""Rome"}"# }] },
        "Sunny",
        " at",
        " noon.",
    ]);
    assert_eq!(json!(tokens.collect::<Vec<_>>()), expected);
    let streams = events.iter().filter_map(|event| match event.event() {
        AnyEvent::ChatModelStart(start) => start.params?.stream,
        _ => None,
    });
    assert_eq!(streams.collect::<Vec<_>>(), [true, true]);
    // As without a stream.
    let results = results(&recorder);
    assert_eq!(results[1].text(), ANSWER);
    assert_eq!(results[1].usage().total_tokens, Some(33));
    assert!(results[1].llm_output.time_to_first_token.is_some());
    let finish = results[0].generations[0][0].finish_reason.as_deref();
    assert_eq!(finish, Some("tool_calls"));
}

/// Where `callbacks` are those of a run, the agent is inside it.
#[tokio::test]
async fn inside_a_run() {
    static OUTER: Serialized = Serialized::new("Outer");
    let server = Server::start([answers()]).unwrap();
    let (recorder, callbacks) = recorded();
    let callbacks = callbacks.tag("prod");
    let outer = callbacks.chain_start(&OUTER, json!({})).await.unwrap();
    let run = agent(&server).prompt("Why?").observed(outer.callbacks());
    run.await.unwrap();
    outer.end(json!({})).await.unwrap();
    settle(&callbacks).await;
    recorder.assert_balanced();
    assert_eq!(lines(&recorder)[1], "on_chain_start host in Outer");
    let events = recorder.events();
    assert!(events.iter().all(|event| event.run().tags() == ["prod"]));
}

#[tokio::test]
async fn a_channel() {
    let server = serve(script);
    let (recorder, callbacks) = recorded();
    let run = agent(&server).prompt("How is Rome?").observed(&callbacks);
    let (run, events) = run.run_channel();
    let (response, items) = futures_util::join!(run, events.collect::<Vec<_>>());
    assert_eq!(response.unwrap().output(), ANSWER);
    assert!(items.len() > 8);
    settle(&callbacks).await;
    recorder.assert_balanced();
    let tokens = recorder.events();
    let tokens = tokens.iter().filter(|event| event.is::<LlmNewToken<'_>>());
    assert_eq!(tokens.count(), 8);
}

/// An attempt is a run of the agent.
#[tokio::test]
async fn typed_output() {
    let answer = |text: &str| Answer::new([text]).usage(usage(1, 1));
    let server = Server::start([answer("no list"), answer(r#"["red", "blue"]"#)]).unwrap();
    let (recorder, callbacks) = recorded();
    let agent = agent(&server);
    let run = agent.prompt_typed::<Vec<String>>("Two colors.").retries(1);
    let response = run.observed(&callbacks).await.unwrap();
    assert_eq!(response.output, ["red", "blue"]);
    settle(&callbacks).await;
    recorder.assert_balanced();
    let expected = [
        "on_chain_start host",
        "on_chat_model_start CompletionModel in host",
        "on_llm_end CompletionModel in host",
        "on_agent_finish host",
        "on_chain_end host",
    ];
    let lines = lines(&recorder);
    assert_eq!(lines, [expected, expected].concat());
}

#[tokio::test]
async fn a_resumed_run() {
    let server = serve(script);
    let (recorder, callbacks) = recorded();
    let agent = agent(&server);
    let spec = agent.run_spec();
    let run = AgentRun::from_spec(&spec, RigMessage::user("How is Rome?"), None);
    let response = agent.resume(run).observed(&callbacks).await.unwrap();
    assert_eq!(response.output(), ANSWER);
    settle(&callbacks).await;
    recorder.assert_balanced();
    assert_eq!(lines(&recorder).len(), 13);
    assert!(!is_first(server.requests().last().unwrap()));
}

/// Rig says of it neither that it starts, nor what it was asked. Of two tools at once, one begins it.
#[tokio::test]
async fn a_run_that_is_resumed_at_its_tools() {
    let server = serve(script);
    let recorder = Recorder::new();
    // a handler that suspends, so that both are about to begin it
    let suspends = Faulty::calling_async(|_| async {
        for _ in 0..5 {
            tokio::task::yield_now().await;
        }
    });
    let callbacks = Callbacks::new()
        .with(handler(recorder.clone()).inline())
        .with(suspends);
    let agent = agent(&server);
    let spec = agent.run_spec();
    let mut run = AgentRun::from_spec(&spec, RigMessage::user("How is Rome?"), None);
    run.next_step().unwrap();
    let names = || BTreeSet::from(["weather".to_owned(), "time".to_owned()]);
    let choice = ["weather", "time"].map(|name| {
        let definition = ToolDefinition::new(ToolName::new(name).unwrap(), "a tool", json!({}));
        let call = AssistantContent::tool_call(name, definition.name.clone(), json!({}));
        (definition, call)
    });
    let (definitions, choice): (Vec<_>, Vec<_>) = choice.into_iter().unzip();
    run.advertise_tools(1, definitions);
    let origin = Origin::new("openai.chat", "openai", "gpt-4o-mini");
    let response = CompletionResponse::new(choice, Usage::new(), origin, json!({}));
    run.model_response(ModelTurn::from_response_parts(&response, names(), names()))
        .unwrap();
    let resumed = agent.resume(run).tool_concurrency(2).observed(&callbacks);
    assert_eq!(resumed.await.unwrap().output(), ANSWER);
    settle(&callbacks).await;
    recorder.assert_balanced();
    let lines = lines(&recorder);
    assert_eq!(
        lines
            .iter()
            .filter(|line| *line == "on_chain_start host")
            .count(),
        1,
        "{lines:?}"
    );
    assert_eq!(
        lines
            .iter()
            .filter(|line| line.ends_with(" in host"))
            .count(),
        6,
        "{lines:?}"
    );
}
