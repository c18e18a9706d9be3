//! What is as in LangChain: how handlers are called, what they are called for, what their errors do.

use std::sync::Arc;

use callbacks::events::ChatModelStart;
use callbacks::{
    AgentAction, AgentFinish, Callbacks, EmitError, Event, Interests, LlmResult, Message,
    RetryState, Serialized, handler,
};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::difference::{Change, added, changed_obs};
use crate::framework::{chain, chat_with, lambda, reply, unserializable, value_error};
use crate::observer::{Act, AsyncAct, Boom, METHODS};
use crate::runner::{Fault, Outcome};
use crate::scene::Scene;

/// The error of the handler `x_raises`.
const BOOM: Boom = Boom("RuntimeError", "handler boom");

/// Fails in the start of a chain.
pub(crate) fn raises() -> Act {
    Box::new(|line| match line["event"].as_str() {
        Some("on_chain_start") => Err(BOOM),
        _ => Ok(()),
    })
}

/// Fails in the start of a chain.
pub(crate) fn raises_async() -> AsyncAct {
    let raises = Arc::new(raises());
    Box::new(move |line| {
        let raises = raises.clone();
        Box::pin(async move { raises(line) })
    })
}

/// What a run says that a handler's error out of its start has closed.
pub(crate) fn start_failed() -> Value {
    let message = "the callback handler `x_raises` failed in `on_chain_start`";
    json!({ "args": [["EmitError", message]] })
}

/// An inline handler has async methods in LangChain, and each is awaited before the next is called.
/// Here it has plain ones.
pub(crate) async fn run_inline_order(scene: Scene) -> Outcome {
    let n1_is_there = Arc::new(Notify::new());
    let waits = n1_is_there.clone();
    let slow: AsyncAct = Box::new(move |line| {
        let waits = waits.clone();
        Box::pin(async move {
            if line["event"] == "on_chain_start" {
                waits.notified().await;
            }
            Ok(())
        })
    });
    let quick: AsyncAct = Box::new(move |_| {
        n1_is_there.notify_one();
        Box::pin(async { Ok(()) })
    });
    let callbacks = Callbacks::new()
        .with(scene.awaited_doing("a_n0", slow))
        .with(scene.inline("a_i0"))
        .with(scene.awaited_doing("a_n1", quick))
        .with(scene.inline("a_i1"));
    let c = Serialized::new("c");
    let run = callbacks.chain_start(&c, json!({})).await?;
    run.end(json!({})).await?;
    Ok(Value::Null)
}

pub(crate) async fn async_handler_under_sync(scene: Scene) -> Outcome {
    let callbacks = Callbacks::new().with(scene.awaited("a"));
    lambda(&callbacks, "RunnableLambda", 1, 1).await?;
    Ok(json!(1))
}

pub(crate) async fn handler_raises_swallowed(scene: Scene) -> Outcome {
    let callbacks = Callbacks::new()
        .with(scene.plain("s_before"))
        .with(scene.plain_doing("x_raises", raises()))
        .with(scene.plain("s_after"));
    lambda(&callbacks, "RunnableLambda", 1, 1).await?;
    Ok(json!(1))
}

pub(crate) async fn handler_raises_async(scene: Scene) -> Outcome {
    let exit = "2 x_raises on_chain_start r0 exit";
    scene.differs(
        "an error is raised when all handlers have finished (rule 5)",
        [Change::Moved {
            line: "4 a_slow on_chain_start r0 exit",
            after: exit,
        }],
    );
    scene.differs(
        "a start that fails has closed the run for those who saw it (rule 5)",
        ["a_slow", "x_raises"]
            .map(|handler| added(exit, (handler, "on_chain_error", "r0"), start_failed())),
    );
    // slower than one that yields once
    let slow: AsyncAct = Box::new(|_| {
        Box::pin(async {
            tokio::task::yield_now().await;
            Ok(())
        })
    });
    let callbacks = Callbacks::new()
        .with(scene.awaited_doing("a_slow", slow))
        .with(
            scene
                .awaited_doing("x_raises", raises_async())
                .raise_errors(),
        );
    let started = chain(&callbacks, "RunnableLambda", 1).await;
    let fault = Fault::from(started.expect_err("a handler fails"));
    scene.mark("user.caught", json!({ "err": fault.exception() }));
    Err(fault)
}

pub(crate) async fn ignore_flags(scene: Scene) -> Outcome {
    scene.differs(
        "`Interests::LLM` is all of models, text and chat: without the start of one kind, a \
         handler would see an end of what it saw no start of; there is no `on_stream_event` here",
        [changed_obs(
            "/suppressed/ignore_llm",
            json!([
                "on_llm_start",
                "on_llm_new_token",
                "on_llm_end",
                "on_llm_error",
                "on_stream_event"
            ]),
            json!([
                "on_chat_model_start",
                "on_llm_start",
                "on_llm_new_token",
                "on_llm_end",
                "on_llm_error"
            ]),
        )],
    );
    let flags = [
        ("ignore_llm", Interests::LLM),
        ("ignore_chat_model", Interests::of(&[ChatModelStart::INDEX])),
        ("ignore_chain", Interests::CHAIN),
        ("ignore_agent", Interests::TOOL | Interests::AGENT),
        ("ignore_retriever", Interests::RETRIEVER),
        ("ignore_retry", Interests::RETRY),
        ("ignore_custom_event", Interests::CUSTOM),
    ];
    let mut suppressed = json!({});
    for (flag, events) in flags {
        every_event(&Callbacks::new().with(handler(scene.plain(flag)).except(events))).await?;
        let lines = scene.take();
        let silent = |method: &&&str| !lines.iter().any(|line| line.enters(method));
        suppressed[flag] = METHODS.iter().filter(silent).copied().collect();
    }
    scene.observe("suppressed", suppressed);
    Ok(Value::Null)
}

/// Emits each built-in event.
async fn every_event(callbacks: &Callbacks) -> Result<(), EmitError> {
    let root = chain(callbacks, "root", 1).await?;
    let inside = root.callbacks();
    let text = unserializable("FakeListLLM");
    let text = inside.llm_start(&text, vec!["p".to_owned()]).await?;
    text.new_token("t").await?;
    text.end(LlmResult::from_text("t")).await?;
    let chat = chat_with(inside, &[Message::human("hi")]).await?;
    chat.error(&value_error("boom")).partial(reply("")).await?;
    inside
        .tool_start(None, "in")
        .await?
        .end(json!("out"))
        .await?;
    inside
        .tool_start(None, "in")
        .await?
        .error(&value_error("boom"))
        .await?;
    inside
        .retriever_start(None, "q")
        .await?
        .end(Vec::new())
        .await?;
    inside
        .retriever_start(None, "q")
        .await?
        .error(&value_error("boom"))
        .await?;
    let failing = chain(inside, "failing", 1).await?;
    failing.error(&value_error("boom")).await?;
    root.agent_action(AgentAction::new("add", json!({})))
        .await?;
    root.agent_finish(AgentFinish::new(json!({}))).await?;
    root.text("text").await?;
    root.retry(RetryState::new(1)).await?;
    root.custom_event("custom", json!({})).await?;
    root.end(json!(1)).await
}
