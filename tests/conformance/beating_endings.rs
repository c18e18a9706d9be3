//! What LangChain does not do well, and is different here: every run that was started ends, exactly
//! once, and after what runs inside it.

use std::sync::Arc;

use callbacks::{Callbacks, LlmResult, Message, Serialized};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::difference::{Change, abandoned, added, changed, dropped};
use crate::framework::{
    batch, cancelled, chain, chat, lambda, nap, step, streaming, unserializable, value_error,
};
use crate::observer::AsyncAct;
use crate::runner::Outcome;
use crate::scene::Scene;

/// Rule 6, where a run has no terminal event in LangChain.
const ONE_TERMINAL_EVENT: &str =
    "every start has exactly one terminal event, also where its guard is dropped (rule 6)";

/// A framework that gives up at the first error: what it drops then is what is still open.
pub(crate) async fn chat_generate_one_fails_sync(scene: Scene) -> Outcome {
    let after = "3 s on_llm_error r1";
    scene.differs(
        ONE_TERMINAL_EVENT,
        ["r0", "r2"].map(|run| added(after, ("s", "on_llm_error", run), dropped())),
    );
    let callbacks = Callbacks::new().with(scene.plain("s"));
    let model = unserializable("PerPrompt");
    let mut runs = Vec::new();
    for text in ["a", "bad", "c"] {
        let start = callbacks.chat_model_start(&model, vec![Message::human(text)]);
        runs.push(start.params(batch(3)).await?);
    }
    let error = value_error("bad prompt");
    let failed = runs.remove(1).error(&error);
    failed.partial(LlmResult::new(vec![Vec::new()])).await?;
    Err(error.into())
}

pub(crate) async fn abandon_chain_stream_async(scene: Scene) -> Outcome {
    let root = "8 a on_chain_error r0";
    let parser = "9 a on_chain_error r3";
    let model = "10 a on_llm_error r2";
    scene.differs(
        "parents close after their children (rule 7)",
        [Change::Moved {
            line: root,
            after: model,
        }],
    );
    let exit = json!(["GeneratorExit", ""]);
    let to = |payload: Value| payload["args"][0].clone();
    scene.differs(
        "a run that is dropped open, or closes with the run around it, says so (rules 6, 7)",
        [
            changed(root, "/payload/args/0", exit.clone(), to(dropped())),
            changed(parser, "/payload/args/0", exit.clone(), to(abandoned())),
            changed(model, "/payload/args/0", exit, to(abandoned())),
        ],
    );
    scene.differs(
        "what had arrived is known to the framework that puts it together, not to a guard that is \
         dropped or closes with another",
        [Change::Without {
            line: model,
            column: "/payload/response",
        }],
    );
    let callbacks = Callbacks::new().with(scene.awaited("a"));
    let root = chain(&callbacks, "RunnableSequence", json!({ "input": "" })).await?;
    let (model, parser) = streaming(&root, "a").await?;
    scene.mark("user.aclose", json!({}));
    // The stream held them; the outermost goes first.
    drop(root);
    drop(parser);
    drop(model);
    scene.mark("user.closed", json!({}));
    Ok(Value::Null)
}

pub(crate) async fn cancel_model(scene: Scene) -> Outcome {
    scene.differs(
        ONE_TERMINAL_EVENT,
        [added(
            "0 a on_chat_model_start r0",
            ("a", "on_llm_error", "r0"),
            dropped(),
        )],
    );
    let callbacks = Callbacks::new().with(scene.awaited("a"));
    cancelled(|here| async move {
        let _run = chat(&callbacks, "hi").await?;
        nap(&here).await
    })
    .await;
    Ok(Value::Null)
}

pub(crate) async fn cancel_tool(scene: Scene) -> Outcome {
    let root = "4 a on_chain_error r0";
    scene.differs(
        ONE_TERMINAL_EVENT,
        [added(
            "3 a on_tool_start r2",
            ("a", "on_tool_error", "r2"),
            dropped(),
        )],
    );
    scene.differs(
        "a run that is dropped open says so (rule 6)",
        [changed(
            root,
            "/payload/args",
            json!([["CancelledError", ""]]),
            dropped()["args"].clone(),
        )],
    );
    let callbacks = Callbacks::new().with(scene.awaited("a"));
    cancelled(|here| async move {
        let root = chain(&callbacks, "RunnableSequence", 1).await?;
        lambda(&step(&root, 1), "RunnableLambda", 1, json!({ "x": 1 })).await?;
        let inside = step(&root, 2);
        let tool = Serialized::new("nap");
        let start = inside.tool_start(&tool, "{'x': 1}");
        let _run = start.inputs(json!({ "x": 1 })).await?;
        nap(&here).await
    })
    .await;
    Ok(Value::Null)
}

pub(crate) async fn cancel_retriever(scene: Scene) -> Outcome {
    scene.differs(
        ONE_TERMINAL_EVENT,
        [added(
            "0 a on_retriever_start r0",
            ("a", "on_retriever_error", "r0"),
            dropped(),
        )],
    );
    let callbacks = Callbacks::new().with(scene.awaited("a"));
    cancelled(|here| async move {
        let start = callbacks.retriever_start(None, "q").name("FakeRetriever");
        let _run = start.await?;
        nap(&here).await
    })
    .await;
    Ok(Value::Null)
}

/// Tells that it is called for the event, then waits to be let go.
fn waits(event: &'static str, entered: Arc<Notify>, leave: Arc<Notify>) -> AsyncAct {
    Box::new(move |line| {
        let (entered, leave) = (entered.clone(), leave.clone());
        Box::pin(async move {
            if line["event"] == event {
                entered.notify_one();
                leave.notified().await;
            }
            Ok(())
        })
    })
}

/// Here LangChain does what rule 6 says. (It does for chains, models and retrievers, but not for
/// tools.)
pub(crate) async fn cancel_during_end_event(scene: Scene) -> Outcome {
    let leave = Arc::new(Notify::new());
    let (let_go, inside) = (leave.clone(), scene.clone());
    cancelled(|here| async move {
        let slow = inside.awaited_doing("a", waits("on_chain_end", here, leave));
        let callbacks = Callbacks::new().with(slow);
        lambda(&callbacks, "RunnableLambda", 1, 1).await?;
        Ok(json!(1))
    })
    .await;
    scene.mark("user.cancelled", json!({}));
    let_go.notify_one();
    Ok(Value::Null)
}

pub(crate) async fn cancel_during_start_event(scene: Scene) -> Outcome {
    scene.differs(
        "a handler that was entered with the start gets the terminal event (rule 6)",
        [added(
            "1 a on_chain_start r0 exit",
            ("a", "on_chain_error", "r0"),
            dropped(),
        )],
    );
    let inside = scene.clone();
    cancelled(|here| async move {
        let slow = inside.awaited_doing("a", waits("on_chain_start", here, Arc::default()));
        let callbacks = Callbacks::new().with(slow);
        lambda(&callbacks, "RunnableLambda", 1, 1).await?;
        Ok(json!(1))
    })
    .await;
    scene.mark("user.cancelled", json!({}));
    Ok(Value::Null)
}
