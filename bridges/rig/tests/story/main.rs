//! What is told of an agent: each run in its place, with what it was given and what came of it.

use std::collections::BTreeSet;

use callbacks::events::{AnyEvent, LlmNewToken};
use callbacks::testing::{Faulty, Recorded, Recorder};
use callbacks::{Callbacks, LlmResult, Message, ModelParams, Role, RunKind, Serialized, handler};
use callbacks_loopback::{Answer, Server};
use callbacks_rig::Observe;
use futures_util::StreamExt;
use rig_agent::AgentRun;
use rig_agent::agent::{
    AgentHook, HookContext, InvalidToolCallAction, InvalidToolCallContext, ModelTurn,
    ModelTurnAction, ModelTurnFinished,
};
use rig_core::completion::{
    CompletionResponse, GenerationOptions, Message as RigMessage, ToolDefinition, Usage,
};
use rig_core::message::{AssistantContent, Origin, ToolName};
use serde_json::json;

mod common;

use common::{ANSWER, agent, answers, is_first, lines, read, script, serve, settle, usage};

const TOKENS: &str = "on_llm_new_token gpt-4o-mini in host";

fn params() -> ModelParams {
    ModelParams::new()
        .with_provider("openai")
        .with_model("gpt-4o-mini")
}

fn recorded() -> (Recorder, Callbacks) {
    let recorder = Recorder::new();
    let callbacks = Callbacks::new().with(recorder.clone());
    (recorder, callbacks)
}

fn results(recorder: &Recorder) -> Vec<LlmResult> {
    let events = recorder.events();
    let ends = events.iter().filter_map(|event| match event.event() {
        AnyEvent::LlmEnd(event) => Some(event.response.clone()),
        _ => None,
    });
    ends.collect()
}

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

/// What a model is sent and what it answers, in each of its turns.
#[tokio::test]
async fn models() {
    let server = serve(script);
    let (recorder, callbacks) = recorded();
    let history = [RigMessage::user("Hello"), RigMessage::assistant("Hello.")];
    let run = agent(&server)
        .prompt("How is Rome?")
        .history(history)
        .temperature(0.5)
        .max_tokens(99)
        .options(GenerationOptions::new().top_p(0.9).seed(7).stop(["END"]));
    run.observed(&callbacks).params(params()).await.unwrap();
    settle(&callbacks).await;
    let events = recorder.events();
    let starts: Vec<_> = events
        .iter()
        .filter_map(|event| match event.event() {
            AnyEvent::ChatModelStart(start) => Some((start.messages[0].clone(), start.params)),
            _ => None,
        })
        .collect();
    let calls = [
        callbacks::ToolCall::new("weather", json!({ "city": "Rome" })).with_id("call_1"),
        callbacks::ToolCall::new("time", json!({})).with_id("call_2"),
    ];
    let wants_tools = Message::ai("Let me look.").with_tool_calls(calls);
    let mut messages = vec![
        Message::system("Be brief."),
        Message::human("Hello"),
        Message::ai("Hello."),
        Message::human("How is Rome?"),
    ];
    assert_eq!(starts[0].0, messages);
    let hour = callbacks::Content::Blocks(vec![json!({ "type": "json", "value": { "hour": 12 } })]);
    messages.extend([
        wants_tools.clone(),
        Message::tool("sunny in Rome", "call_1").with_name("weather"),
        Message::tool(hour, "call_2").with_name("time"),
    ]);
    assert_eq!(starts[1].0, messages);
    let params = starts[0].1.unwrap();
    assert_eq!(params.tools.len(), 4);
    let expected = self::params()
        .with_stream(false)
        .with_temperature(0.5)
        .with_max_tokens(99)
        .with_top_p(0.9)
        .with_seed(7)
        .with_stop(["END"])
        .with_tools(params.tools.clone());
    assert_eq!(*params, expected);

    let results = results(&recorder);
    let first = &results[0].generations[0][0];
    assert_eq!(first.message.as_ref(), Some(&wants_tools));
    assert_eq!(first.finish_reason.as_deref(), Some("tool_calls"));
    let output = &results[1].llm_output;
    assert_eq!(output.model_name.as_deref(), Some("gpt-4o-mini"));
    assert_eq!(output.response_id.as_deref(), Some("chatcmpl-2"));
    assert_eq!(output.extra["provider"], "openai");
    assert_eq!(output.token_usage.input_tokens, Some(30));
    assert_eq!(output.token_usage.output_tokens, Some(3));
    assert_eq!(output.token_usage.total_tokens, Some(33));
    assert_eq!(results[1].text(), ANSWER);
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

/// Every token has been told when it is given out.
#[tokio::test]
async fn tokens_are_told_before_they_are_given_out() {
    let server = Server::start([answers()]).unwrap();
    let (recorder, callbacks) = recorded();
    let mut stream = agent(&server).prompt("Why?").observed(&callbacks).stream();
    let mut given = 0;
    while let Some(item) = stream.next().await {
        given += usize::from(json!(item.unwrap()).to_string().contains(r#""text":"#));
        let told = recorder.events();
        let told = told.iter().filter(|event| event.is::<LlmNewToken<'_>>());
        assert!(told.count() >= given.min(3));
    }
    assert!(given >= 3);
}

#[tokio::test]
async fn reasoning() {
    let server = Server::start([answers().reasoning(["Hm", "m."])]).unwrap();
    let (recorder, callbacks) = recorded();
    let stream = agent(&server).prompt("Why?").observed(&callbacks).stream();
    read(stream).await.1.unwrap();
    settle(&callbacks).await;
    let events = recorder.events();
    let thoughts = events.iter().filter_map(|event| match event.event() {
        AnyEvent::LlmNewToken(event) => event.chunk?.reasoning.clone(),
        _ => None,
    });
    assert_eq!(thoughts.collect::<Vec<_>>(), ["Hm", "m."]);
    let message = results(&recorder)[0].generations[0][0].message.clone();
    assert_eq!(message.unwrap().extra["reasoning"], "Hmm.");
}

/// Each under its own agent's run, whichever came first.
#[tokio::test]
async fn tools_at_once() {
    let server = serve(script);
    let (recorder, callbacks) = recorded();
    let both = std::sync::Arc::new(tokio::sync::Barrier::new(2));
    let meets = |name: &str| {
        let both = both.clone();
        common::tool(name, move |_| {
            let both = both.clone();
            async move {
                both.wait().await;
                Ok(rig_agent::tool::ToolOutput::text("met"))
            }
        })
    };
    // in place of those that answer at once
    let agent = common::agent_with(&server, [meets("weather"), meets("time")]);
    let run = agent.prompt("How is Rome?").tool_concurrency(2);
    let response = run.observed(&callbacks).await.unwrap();
    assert_eq!(response.output(), ANSWER);
    settle(&callbacks).await;
    recorder.assert_balanced();
    let events = recorder.events();
    let ended = events.iter().filter_map(|event| match event.event() {
        AnyEvent::ToolEnd(end) => Some((event.run().name().to_owned(), end.tool_call_id)),
        _ => None,
    });
    let mut ended: Vec<_> = ended.collect();
    ended.sort_unstable();
    let expected = [
        ("time".to_owned(), Some("call_2")),
        ("weather".to_owned(), Some("call_1")),
    ];
    assert_eq!(ended, expected);
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

/// Other hooks of the run are asked first.
struct Other;

impl AgentHook for Other {
    async fn on_invalid_tool_call(
        &self,
        _: &HookContext,
        _: &InvalidToolCallContext,
    ) -> Option<InvalidToolCallAction> {
        Some(InvalidToolCallAction::retry("There is no such tool."))
    }

    async fn on_model_turn_finished(
        &self,
        ctx: &HookContext,
        _: ModelTurnFinished<'_>,
    ) -> ModelTurnAction {
        match ctx.turn() {
            2 => ModelTurnAction::repeat(),
            _ => ModelTurnAction::continue_run(),
        }
    }
}

/// Rig tells no outcome of the first turn, and repeats the second.
#[tokio::test]
async fn turns_that_are_tried_again() {
    for streamed in [false, true] {
        let unknown = Answer::new(["I see."]).tool_call("call_1", "unknown", ["{}"]);
        let server = Server::start([unknown, answers(), answers()]).unwrap();
        let (recorder, callbacks) = recorded();
        let run = agent(&server)
            .prompt("Why?")
            .max_invalid_tool_call_retries(1)
            .add_hook(Other)
            .observed(&callbacks);
        let response = if streamed {
            read(run.stream()).await.1
        } else {
            run.await
        };
        assert_eq!(response.unwrap().output(), ANSWER);
        settle(&callbacks).await;
        recorder.assert_balanced();
        let texts: Vec<_> = results(&recorder)
            .iter()
            .map(|it| it.text().to_owned())
            .collect();
        // What was not streamed, the hook that answered first has kept to itself.
        let first = if streamed { "I see." } else { "" };
        assert_eq!(texts, [first, ANSWER, ANSWER]);
        let called = |event: &&Recorded| event.method() == "on_tool_start";
        assert_eq!(recorder.events().iter().filter(called).count(), 0);
    }
}

/// Where rig decides, what the model said is known.
#[tokio::test]
async fn an_unknown_tool() {
    for streamed in [false, true] {
        let unknown = Answer::new(["I see."]).tool_call("call_1", "unknown", ["{}"]);
        let server = Server::start([unknown]).unwrap();
        let (recorder, callbacks) = recorded();
        let run = agent(&server).prompt("Why?").observed(&callbacks);
        let response = if streamed {
            read(run.stream()).await.1
        } else {
            run.await
        };
        response.unwrap_err();
        settle(&callbacks).await;
        recorder.assert_balanced();
        let events = recorder.events();
        let partial = events.iter().find_map(|event| match event.event() {
            AnyEvent::LlmError(event) => event.response,
            _ => None,
        });
        let message = partial.unwrap().generations[0][0].message.as_ref().unwrap();
        assert_eq!(message.role, Role::Ai);
        assert_eq!(message.text(), "I see.");
        assert_eq!(message.tool_calls.len(), 1, "{message:?}");
    }
}

#[tokio::test]
async fn documents_are_messages() {
    let server = Server::start([answers()]).unwrap();
    let (recorder, callbacks) = recorded();
    let document = rig_core::completion::Document {
        id: "1".to_owned(),
        text: "Rome is sunny.".to_owned(),
        additional_props: std::collections::HashMap::new(),
    };
    let run = agent(&server).prompt("Why?").document(document);
    run.observed(&callbacks).await.unwrap();
    settle(&callbacks).await;
    let events = recorder.events();
    let messages = events.iter().find_map(|event| match event.event() {
        AnyEvent::ChatModelStart(start) => Some(start.messages[0].clone()),
        _ => None,
    });
    let messages = messages.unwrap();
    let roles: Vec<_> = messages
        .iter()
        .map(|message| message.role.as_str())
        .collect();
    assert_eq!(roles, ["system", "human", "human"]);
    assert!(json!(messages[1]).to_string().contains("Rome is sunny."));
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

/// Before each turn, an index chooses the tools for it.
#[tokio::test]
async fn tools_that_are_retrieved() {
    let server = serve(common::wants("weather"));
    let (recorder, callbacks) = recorded();
    let agent = common::choosing_agent(&server, common::Index { works: true });
    let response = agent.prompt("How is Rome?").observed(&callbacks).await;
    assert_eq!(response.unwrap().output(), ANSWER);
    settle(&callbacks).await;
    recorder.assert_balanced();
    let events = recorder.events();
    let mut told = Vec::new();
    for event in &events {
        told.push(match event.event() {
            AnyEvent::RetrieverStart(start) => json!(start.query),
            AnyEvent::RetrieverEnd(end) => json!(end.documents),
            _ => continue,
        });
    }
    let found = json!([{ "page_content": "", "id": "weather", "score": 0.5 }]);
    assert_eq!(
        told,
        [
            json!("How is Rome?"),
            found.clone(),
            json!("How is Rome?"),
            found
        ]
    );
    assert_eq!(
        lines(&recorder)[1],
        "on_retriever_start VectorStoreIndex in host"
    );
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
