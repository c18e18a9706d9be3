//! What the guide for frameworks promises of its agent: every event, and one end of each run, whatever happens.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use callbacks::events::{AnyEvent, ChainEnd, LlmNewToken, ToolStart};
use callbacks::testing::{Faulty, Recorded, Recorder};
use callbacks::{
    BoxError, Callbacks, Decision, EmitError, ErrorKind, Interests, LlmResult, Message, Serialized,
    callback_handler, handler,
};
use futures_util::future::{FutureExt, join};
use futures_util::poll;
use serde_json::Value;
use tokio::task::yield_now;

#[path = "../mini_agent.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is a program of its own, too")]
mod mini_agent;

use mini_agent::{agent, turns};

const QUESTIONS: [&str; 3] = ["Get tea for two.", "What is in the vault?", "Be quick."];
const ANSWER: &str = "Get tea for two: It is on its way.";

async fn ask(callbacks: &Callbacks) -> Vec<Result<String, BoxError>> {
    let mut answers = Vec::new();
    for question in QUESTIONS {
        answers.push(agent("host", question, callbacks).await);
    }
    answers
}

/// All that was started is over.
async fn settle(callbacks: &Callbacks) {
    let report = callbacks.flush(Duration::from_secs(60)).await;
    assert!(report.is_complete(), "{report:?}");
}

/// Says which decisions it is asked for, and nothing against them.
#[derive(Clone, Default)]
struct Asked(std::sync::Arc<std::sync::Mutex<BTreeSet<&'static str>>>);

impl Asked {
    fn add(&self, method: &'static str) {
        self.0.lock().unwrap().insert(method);
    }
}

#[callback_handler]
impl Asked {
    fn on_tool_request(&self, serialized: Option<&Serialized>) -> Decision<String, Value> {
        self.add("on_tool_request");
        match serialized.map(|tool| &*tool.name) {
            Some("pay") => Decision::Stop("nobody pays".to_owned()),
            _ => Decision::Continue,
        }
    }

    fn on_llm_request(&self) -> Decision<Vec<Message>, LlmResult> {
        self.add("on_llm_request");
        Decision::Continue
    }
}

#[tokio::test]
async fn every_event_is_emitted() {
    let (recorder, own, asked) = (
        Recorder::new(),
        Recorder::of::<turns::Events>(),
        Asked::default(),
    );
    let callbacks = Callbacks::new()
        .with(recorder.clone())
        .with(own.clone())
        .with(asked.clone());
    let answers = ask(&callbacks).await;
    assert_eq!(answers[0].as_deref().ok(), Some(ANSWER));
    recorder.assert_balanced();
    let mut methods: BTreeSet<_> = asked.0.lock().unwrap().clone();
    methods.extend(recorder.events().iter().map(Recorded::method));
    let all = [
        "on_agent_action",
        "on_agent_finish",
        "on_chain_end",
        "on_chain_error",
        "on_chain_start",
        "on_chat_model_start",
        "on_custom_event",
        "on_llm_end",
        "on_llm_error",
        "on_llm_new_token",
        "on_llm_request",
        "on_llm_start",
        "on_retriever_end",
        "on_retriever_error",
        "on_retriever_start",
        "on_retry",
        "on_text",
        "on_tool_end",
        "on_tool_error",
        "on_tool_request",
        "on_tool_start",
    ];
    assert_eq!(methods.into_iter().collect::<Vec<_>>(), all);
    // 3 turns, 1 of the agent inside, and 1 in which the model fails.
    assert_eq!(own.len(), 5);
}

#[tokio::test]
async fn an_agent_in_a_tool_is_in_its_run() {
    let recorder = Recorder::new();
    let callbacks = Callbacks::new().with(recorder.clone());
    ask(&callbacks).await;
    let events = recorder.events();
    let runs = events.iter().map(Recorded::run);
    let inner = runs.into_iter().find(|run| run.name() == "researcher");
    let around = inner.unwrap().parent().unwrap();
    assert_eq!(
        (around.name(), around.parent().unwrap().name()),
        ("research", "host")
    );
}

/// Wherever it is dropped: after every number of polls that it may have had.
#[tokio::test]
async fn an_agent_that_is_dropped_ends_all_its_runs() {
    for polls in 0.. {
        let recorder = Recorder::new();
        // A handler that suspends makes every emission a place to be dropped at.
        let suspends = Faulty::calling_async(|_| async {
            for _ in 0..3 {
                yield_now().await;
            }
        });
        let callbacks = Callbacks::new()
            .with(handler(recorder.clone()).inline())
            .with(suspends);
        let mut running = agent("host", QUESTIONS[0], &callbacks);
        let mut answer = None;
        for _ in 0..polls {
            if let std::task::Poll::Ready(done) = poll!(&mut running) {
                answer = Some(done);
                break;
            }
        }
        drop(running);
        settle(&callbacks).await;
        recorder.assert_balanced();
        if let Some(answer) = answer {
            assert_eq!(answer.unwrap(), ANSWER);
            assert!(polls > 50, "{polls}");
            return;
        }
    }
}

#[tokio::test]
async fn a_tool_that_panics_ends_its_run_and_those_around_it() {
    let recorder = Recorder::new();
    let callbacks = Callbacks::new().with(recorder.clone());
    let running = agent("host", "Share it among nobody.", &callbacks);
    AssertUnwindSafe(running).catch_unwind().await.unwrap_err();
    settle(&callbacks).await;
    recorder.assert_balanced();
    let kinds = recorder
        .events()
        .into_iter()
        .filter_map(|event| match event.event() {
            AnyEvent::ToolError(event) => Some(event.error.kind),
            AnyEvent::ChainError(event) => Some(event.error.kind),
            _ => None,
        });
    assert_eq!(kinds.collect::<Vec<_>>(), [ErrorKind::Panicked; 2]);
}

#[tokio::test]
async fn handlers_that_fail_change_nothing() {
    let expected = ask(&Callbacks::new()).await;
    for faulty in [
        Faulty::error("no disk"),
        Faulty::panic("no disk"),
        Faulty::error("no disk").asynchronous(),
        Faulty::panic("no disk").asynchronous(),
    ] {
        let recorder = Recorder::new();
        let callbacks = Callbacks::new().with(faulty).with(recorder.clone());
        let answers = ask(&callbacks).await;
        assert_eq!(format!("{answers:?}"), format!("{expected:?}"));
        recorder.assert_balanced();
    }
}

/// Unless they are to: then the run that the event belongs to fails, and those around it.
#[tokio::test]
async fn handlers_that_raise_end_the_agent() {
    for faulty in [
        Faulty::error("no disk").on::<LlmNewToken<'_>>(),
        Faulty::error("no disk").on::<ToolStart<'_>>(),
        Faulty::error("no disk").on::<ChainEnd<'_>>(),
    ] {
        let recorder = Recorder::new();
        let callbacks = Callbacks::new()
            .with(handler(faulty).raise_errors())
            .with(recorder.clone());
        let error = agent("host", QUESTIONS[0], &callbacks).await.unwrap_err();
        let raised = error.downcast_ref::<EmitError>();
        assert!(
            matches!(raised, Some(EmitError::Raised { .. })),
            "{error:?}"
        );
        settle(&callbacks).await;
        recorder.assert_balanced();
    }
}

/// Two at once, on one value.
#[tokio::test(flavor = "multi_thread")]
async fn agents_at_once_do_not_mix() {
    let recorder = Recorder::new();
    let only = handler(recorder.clone()).except(Interests::LLM);
    let callbacks = Callbacks::new().with(only);
    let (one, two) = join(ask(&callbacks), ask(&callbacks)).await;
    assert_eq!(format!("{one:?}"), format!("{two:?}"));
    recorder.assert_balanced();
    recorder.assert_in_order();
}
