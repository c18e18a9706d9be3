//! What a model is sent in each turn, and what is told of what it says.

use callbacks::Message;
use callbacks::events::{AnyEvent, LlmNewToken};
use callbacks::testing::Recorded;
use callbacks_loopback::{Answer, Server};
use callbacks_rig::Observe;
use futures_util::StreamExt;
use rig_agent::agent::{
    AgentHook, HookContext, InvalidToolCallAction, InvalidToolCallContext, ModelTurnAction,
    ModelTurnFinished,
};
use rig_core::completion::{GenerationOptions, Message as RigMessage};
use serde_json::json;

use super::{params, results};
use crate::common::{ANSWER, agent, answers, read, recorded, script, serve, settle};

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
