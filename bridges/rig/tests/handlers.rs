//! Handlers that fail change nothing, those that are to raise stop the agent, and those that decide are heard.

use std::sync::{Arc, Mutex};

use callbacks::events::{
    AgentAction, ChainEnd, ChainStart, ChatModelStart, LlmEnd, LlmNewToken, ToolEnd, ToolStart,
};
use callbacks::testing::{Faulty, Recorder};
use callbacks::{
    Callbacks, Decision, EmitError, Event, LlmResult, Message, ModelParams, Role, callback_handler,
    handler,
};
use callbacks_rig::{Observe, emit_error};
use rig_agent::Agent;
use rig_agent::agent::PromptResponse;
use rig_agent::completion::{PromptError, StructuredOutputError};
use rig_core::message::{CallId, Message as RigMessage, ToolName};
use serde_json::{Value, json};

mod common;

use common::{ANSWER, agent, failures, read, script, serve, settle, wants};

async fn ask(
    agent: &Agent,
    streamed: bool,
    callbacks: &Callbacks,
) -> Result<PromptResponse, PromptError> {
    let run = agent.prompt("How is Rome?").observed(callbacks);
    if streamed {
        read(run.stream()).await.1
    } else {
        run.await
    }
}

/// To the letter: what it says, what it used, and all that was said on the way.
#[tokio::test]
async fn handlers_that_fail_change_nothing() {
    let server = serve(script);
    let agent = agent(&server);
    let alone = agent.prompt("How is Rome?").await.unwrap();
    let (alone_items, alone_streamed) = read(agent.prompt("How is Rome?").stream()).await;
    let alone_streamed = alone_streamed.unwrap();
    for faulty in [
        Faulty::calling(|_| ()),
        Faulty::error("no disk"),
        Faulty::panic("no disk"),
        Faulty::error("no disk").asynchronous(),
        Faulty::panic("no disk").asynchronous(),
    ] {
        let recorder = Recorder::new();
        let callbacks = Callbacks::new().with(faulty.clone()).with(recorder.clone());
        let response = ask(&agent, false, &callbacks).await.unwrap();
        assert_eq!(json!(response), json!(alone));
        let run = agent.prompt("How is Rome?").observed(&callbacks);
        let (items, response) = read(run.stream()).await;
        assert_eq!(items, alone_items);
        assert_eq!(json!(response.unwrap()), json!(alone_streamed));
        settle(&callbacks).await;
        recorder.assert_balanced();
        assert_eq!(failures(&recorder), [""; 0]);
        assert!(faulty.calls() > 20);
    }
}

fn raises<E: Event<Set = callbacks::events::Events>>() -> (Recorder, Callbacks) {
    let recorder = Recorder::new();
    let faulty = Faulty::error("no disk").on::<E>();
    let callbacks = Callbacks::new().with(handler(faulty).raise_errors());
    (recorder.clone(), callbacks.with(recorder))
}

/// The run that the event belongs to fails, and those around it.
#[tokio::test]
async fn handlers_that_raise_stop_the_agent() {
    let server = serve(script);
    let agent = agent(&server);
    for streamed in [false, true] {
        for (event, (recorder, callbacks)) in [
            ("on_chain_start", raises::<ChainStart<'_>>()),
            ("on_chat_model_start", raises::<ChatModelStart<'_>>()),
            ("on_llm_new_token", raises::<LlmNewToken<'_>>()),
            ("on_llm_end", raises::<LlmEnd<'_>>()),
            ("on_agent_action", raises::<AgentAction<'_>>()),
            ("on_tool_start", raises::<ToolStart<'_>>()),
            ("on_tool_end", raises::<ToolEnd<'_>>()),
            ("on_chain_end", raises::<ChainEnd<'_>>()),
        ] {
            let before = server.requests().len();
            let result = ask(&agent, streamed, &callbacks).await;
            settle(&callbacks).await;
            recorder.assert_balanced();
            if event == "on_llm_new_token" && !streamed {
                result.unwrap();
                continue;
            }
            let error = result.unwrap_err();
            match emit_error(&error) {
                Some(EmitError::Raised { event: method, .. }) => assert_eq!(*method, event),
                other => panic!("{event}: {other:?} in {error:?}"),
            }
            let asked = server.requests().len() - before;
            match event {
                "on_chain_start" | "on_chat_model_start" => assert_eq!(asked, 0),
                "on_chain_end" => assert_eq!(asked, 2),
                _ => assert_eq!(asked, 1, "{event}"),
            }
            if event != "on_chain_end" && event != "on_chain_start" {
                let last = failures(&recorder).pop().unwrap();
                assert!(
                    last.starts_with("on_chain_error failed: the callback handler"),
                    "{last}"
                );
            }
        }
    }
}

/// Whoever reads has paid for the answer.
#[tokio::test]
async fn what_is_raised_at_the_end_comes_after_the_response() {
    let server = serve(script);
    let (_, callbacks) = raises::<ChainEnd<'_>>();
    let run = agent(&server).prompt("How is Rome?").observed(&callbacks);
    let (items, last) = read(run.stream()).await;
    assert!(items.last().unwrap().contains("finalResponse"));
    assert!(emit_error(&last.unwrap_err()).is_some());
}

#[tokio::test]
async fn what_is_raised_is_not_tried_again() {
    let server = serve(script);
    let (recorder, callbacks) = raises::<ChatModelStart<'_>>();
    let agent = agent(&server);
    let run = agent.prompt_typed::<Vec<String>>("Two colors.").retries(3);
    let error: StructuredOutputError = run.observed(&callbacks).await.unwrap_err();
    assert!(emit_error(&error).is_some());
    settle(&callbacks).await;
    recorder.assert_balanced();
    assert_eq!(failures(&recorder).len(), 2);
    assert!(server.requests().is_empty());
}

/// Answers what it is told to, and notes what it was asked.
#[derive(Clone)]
struct Decides<T> {
    decision: T,
    asked: Arc<Mutex<Vec<String>>>,
}

impl<T> Decides<T> {
    fn new(decision: T) -> Self {
        let asked = Arc::default();
        Self { decision, asked }
    }
}

type ToolDecision = Decision<String, Value>;

#[callback_handler]
impl Decides<ToolDecision> {
    fn on_tool_request(&self, input: &str, tool_call_id: Option<&str>) -> ToolDecision {
        let asked = format!("{input} {}", tool_call_id.unwrap_or_default());
        self.asked.lock().unwrap().push(asked);
        self.decision.clone()
    }
}

/// What the model is told of the tool `weather`, and how the agent ended.
async fn tool_decision(
    decision: ToolDecision,
    streamed: bool,
) -> (Value, Vec<String>, Vec<String>) {
    let server = serve(wants("weather"));
    let recorder = Recorder::new();
    let decides = Decides::new(decision);
    let callbacks = Callbacks::new()
        .with(decides.clone())
        .with(recorder.clone());
    let response = ask(&agent(&server), streamed, &callbacks).await.unwrap();
    assert_eq!(response.output(), ANSWER);
    assert_eq!(*decides.asked.lock().unwrap(), ["{} call_1"]);
    settle(&callbacks).await;
    recorder.assert_balanced();
    let request = &server.requests()[1].body["messages"];
    let last = request.as_array().unwrap().last().unwrap();
    assert_eq!(last["role"], "tool");
    let tools = common::lines(&recorder)
        .into_iter()
        .filter(|line| line.contains("weather"));
    (
        last["content"].clone(),
        tools.collect(),
        failures(&recorder),
    )
}

#[tokio::test]
async fn tools_that_are_decided_about() {
    let ended = [
        "on_tool_start weather in host",
        "on_tool_end weather in host",
    ];
    let stopped = [
        "on_tool_start weather in host",
        "on_tool_error weather in host",
    ];
    for streamed in [false, true] {
        let (told, tool, _) = tool_decision(Decision::Continue, streamed).await;
        assert_eq!(
            (told, &*tool),
            (json!("sunny in "), &ended.map(str::to_owned)[..])
        );

        let rewritten = Decision::Rewrite(r#"{"city":"Oslo"}"#.to_owned());
        let (told, tool, _) = tool_decision(rewritten, streamed).await;
        assert_eq!(
            (told, &*tool),
            (json!("sunny in Oslo"), &ended.map(str::to_owned)[..])
        );

        let answered = Decision::Answer(json!("rain"));
        let (told, tool, _) = tool_decision(answered, streamed).await;
        assert_eq!(
            (told, &*tool),
            (json!("rain"), &ended.map(str::to_owned)[..])
        );

        let stop = Decision::Stop("no weather today".to_owned());
        let (told, tool, failures) = tool_decision(stop, streamed).await;
        assert_eq!(
            (told, &*tool),
            (json!("no weather today"), &stopped.map(str::to_owned)[..])
        );
        assert_eq!(failures, ["on_tool_error stopped: no weather today"]);

        // The tool says what it thinks of it.
        let nonsense = Decision::Rewrite("7".to_owned());
        let (_, tool, _) = tool_decision(nonsense, streamed).await;
        assert_eq!(tool.len(), 2);
    }
}

type LlmDecision = Decision<Vec<Message>, LlmResult>;

#[derive(Clone)]
struct Rewrites<F>(F);

#[callback_handler]
impl<F> Rewrites<F>
where
    F: Fn(&[Message]) -> LlmDecision + Send + Sync,
{
    fn on_llm_request(&self, messages: &[Message]) -> LlmDecision {
        (self.0)(messages)
    }
}

/// Asks the model with what is decided, and gives what it was sent.
async fn model_decision(
    streamed: bool,
    decide: impl Fn(&[Message]) -> LlmDecision + Send + Sync + 'static,
) -> (Result<PromptResponse, PromptError>, Vec<Value>, Recorder) {
    let server = serve(script);
    let recorder = Recorder::new();
    let callbacks = Callbacks::new()
        .with(Rewrites(decide))
        .with(recorder.clone());
    let document = rig_core::completion::Document {
        id: "1".to_owned(),
        text: "Rome is sunny.".to_owned(),
        additional_props: std::collections::HashMap::new(),
    };
    let agent = agent(&server);
    let run = agent
        .prompt("How is Rome?")
        .document(document)
        .observed(&callbacks);
    let run = run.params(ModelParams::new().with_model("m"));
    let result = if streamed {
        read(run.stream()).await.1
    } else {
        run.await
    };
    settle(&callbacks).await;
    recorder.assert_balanced();
    let sent = server
        .requests()
        .into_iter()
        .map(|request| request.body["messages"].clone());
    (result, sent.collect(), recorder)
}

#[tokio::test]
async fn messages_that_are_rewritten() {
    for streamed in [false, true] {
        let (_, alone, _) = model_decision(streamed, |_| Decision::Continue).await;
        let redact = |messages: &[Message]| {
            let messages = messages.iter().cloned().map(|mut message| {
                if message.role == Role::System {
                    message.content = message.text().replace("brief", "kind").into();
                }
                message
            });
            Decision::Rewrite(messages.collect())
        };
        let (result, sent, recorder) = model_decision(streamed, redact).await;
        assert_eq!(result.unwrap().output(), ANSWER);
        let mut expected = alone.clone();
        for messages in &mut expected {
            let system = messages[0].to_string().replace("brief", "kind");
            messages[0] = serde_json::from_str(&system).unwrap();
        }
        assert_eq!(sent, expected);
        let events = recorder.events();
        let shown = events.iter().find_map(|event| match event.event() {
            callbacks::events::AnyEvent::ChatModelStart(start) => Some(start.messages[0][0].text()),
            _ => None,
        });
        assert_eq!(shown.as_deref(), Some("Be kind."));

        // Everything anew: the answers of tools are one message for rig, and the documents are gone.
        let anew = |messages: &[Message]| {
            let messages = messages.iter().filter(|message| {
                !message.text().is_empty()
                    || !message.tool_calls.is_empty()
                    || message.role == Role::Tool
            });
            let messages = messages.cloned().map(|mut message| {
                if let callbacks::Content::Text(text) = &message.content {
                    message.content = format!("{text}!").into();
                }
                message.name = None;
                message
            });
            Decision::Rewrite(messages.collect())
        };
        let (result, sent, _) = model_decision(streamed, anew).await;
        assert_eq!(result.unwrap().output(), ANSWER);
        let texts: Vec<_> = sent[1]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["role"].clone())
            .collect();
        assert_eq!(
            json!(texts),
            json!(["system", "user", "assistant", "tool", "tool"])
        );
        assert!(sent[1].to_string().contains("Let me look.!"));
        assert!(sent[1].to_string().contains("sunny in Rome!"));
        assert!(!sent[1].to_string().contains("Rome is sunny."));
    }
}

#[tokio::test]
async fn models_that_are_stopped() {
    for streamed in [false, true] {
        for (decision, reason) in [
            (Decision::Stop("too late".to_owned()), "too late"),
            (
                Decision::Answer(LlmResult::from_text("42")),
                "a callback handler answered in place of the model, which rig has no way to do",
            ),
            (
                Decision::Rewrite(vec![Message::new("critic", "no")]),
                "a handler wrote a message by `critic`, which rig has no role for",
            ),
            (
                Decision::Rewrite(vec![Message::tool("no", "call_9")]),
                "a handler wrote an answer of a tool, to `call_9`, which no message calls",
            ),
            (
                Decision::Rewrite(vec![Message::human(vec![json!({ "type": "smell" })])]),
                "a handler wrote a content block that rig has not",
            ),
        ] {
            let decided = decision.clone();
            let (result, sent, recorder) = model_decision(streamed, move |_| decided.clone()).await;
            assert!(sent.is_empty());
            match result.unwrap_err() {
                PromptError::Cancelled { reason: why, .. } => {
                    assert!(why.starts_with(reason), "{why}");
                }
                other => panic!("{other:?}"),
            }
            let failures = failures(&recorder);
            let of_agent = failures.last().unwrap();
            assert!(of_agent.contains(reason), "{of_agent}");
            if !matches!(decision, Decision::Answer(_)) {
                assert!(
                    failures[0].starts_with("on_llm_error stopped"),
                    "{failures:?}"
                );
            }
        }
    }
}

/// The ids of calls that rig made up are its own; their messages are sent as they were.
#[tokio::test]
async fn ids_that_rig_made_up() {
    let server = serve(|_| common::answers());
    let callbacks = Callbacks::new().with(Rewrites(|messages: &[Message]| {
        let mut messages = messages.to_vec();
        messages[0] = Message::system("Be kind.");
        Decision::Rewrite(messages)
    }));
    let name = ToolName::new("weather").unwrap();
    let id = CallId::from_wire("");
    let function = rig_core::message::ToolFunction::new(name.clone(), json!({}));
    let call = rig_core::message::ToolCall::new(id.clone(), function);
    let said = rig_core::message::AssistantContent::ToolCall(call);
    let said = rig_core::message::AssistantMessage::new(vec![said]);
    let history = [
        RigMessage::user("How is Rome?"),
        RigMessage::Assistant(said),
        RigMessage::tool_result(id, name, "sunny"),
    ];
    let agent = agent(&server);
    let before = agent.prompt("And Oslo?").history(history.clone());
    before.await.unwrap();
    let run = agent.prompt("And Oslo?").history(history);
    run.observed(&callbacks).await.unwrap();
    let requests = server.requests();
    let [alone, sent] = &*requests else { panic!() };
    let (alone, sent) = (&alone.body["messages"], &sent.body["messages"]);
    assert_eq!(
        sent[0]["content"].as_str().unwrap_or("Be kind."),
        "Be kind."
    );
    for at in 1..5 {
        assert_eq!(alone[at], sent[at]);
    }
}
