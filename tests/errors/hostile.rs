//! Errors that nobody can show, and values that nobody can drop, are failures as others are.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use callbacks::{
    BoxError, Callbacks, Chunk, Decision, EmitError, LlmResult, callback_handler, handler,
};
use callbacks_tests::{CHAIN, Log, MODEL, Tokens, raised, start};
use futures_util::{StreamExt, poll, stream};
use serde_json::Value;
use tokio::sync::Notify;

use super::{Never, failures};

/// An error that nobody can show, and a panic that nobody can drop.
#[derive(Debug)]
struct Unspeakable;

impl std::fmt::Display for Unspeakable {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("it does not want to be shown");
    }
}

impl std::error::Error for Unspeakable {}

#[derive(Debug)]
struct Undroppable;

impl Drop for Undroppable {
    fn drop(&mut self) {
        panic!("it does not want to be dropped");
    }
}

struct Hostile;

#[callback_handler]
impl Hostile {
    fn on_llm_new_token(&self, token: &str) -> Result<(), Unspeakable> {
        if token == "panic" {
            std::panic::panic_any(Undroppable);
        }
        Err(Unspeakable)
    }
}

struct AsyncHostile;

#[callback_handler]
impl AsyncHostile {
    async fn on_llm_new_token(&self, token: &str) -> Result<(), Unspeakable> {
        if token == "panic" {
            tokio::task::yield_now().await;
            std::panic::panic_any(Undroppable);
        }
        Err(Unspeakable)
    }
}

#[tokio::test]
async fn not_even_a_hostile_failure_stops_anybody() {
    failures();
    let log = Log::new();
    let name = "other";
    let callbacks = Callbacks::new()
        .with(handler(Hostile).inline())
        .with(Hostile)
        .with(AsyncHostile)
        .with(Tokens {
            log: log.clone(),
            name,
        });
    let run = start(&callbacks).await;
    for token in ["error", "panic"] {
        run.new_token(token).await.unwrap();
    }
    assert_eq!(log.lines(), ["other error", "other panic"]);
}

#[derive(Debug)]
struct Heavy {
    _left: Undroppable,
}

impl std::fmt::Display for Heavy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("heavy")
    }
}

impl std::error::Error for Heavy {}

/// Fails where a run ends with an error, and so that nobody can drop it.
struct Undying;

#[callback_handler]
impl Undying {
    fn on_llm_error(&self) -> Result<(), Heavy> {
        Err(Heavy { _left: Undroppable })
    }

    fn on_tool_error(&self) -> Result<(), Heavy> {
        Err(Heavy { _left: Undroppable })
    }
}

/// What a method that is dropped leaves behind, what a failure that is not raised leaves behind, and
/// what is raised out of a start are all of the user's making.
#[tokio::test(start_paused = true)]
async fn hostile_values_do_not_reach_the_emitter() {
    struct Leaves;

    #[callback_handler]
    impl Leaves {
        async fn on_llm_new_token(&self) {
            let _left = Undroppable;
            std::future::pending::<()>().await;
        }

        async fn on_llm_end(&self) {
            let _left = Undroppable;
            std::future::pending::<()>().await;
        }
    }

    struct Fails;

    #[callback_handler]
    impl Fails {
        fn on_text(&self) -> Result<(), Heavy> {
            Err(Heavy { _left: Undroppable })
        }

        fn on_chain_start(&self) -> Result<(), Unspeakable> {
            Err(Unspeakable)
        }
    }

    struct First;

    #[callback_handler]
    impl First {
        fn on_text(&self) -> Result<(), &'static str> {
            Err("first")
        }
    }

    failures();
    let leaves = handler(Leaves).timeout(Duration::from_secs(1));
    let callbacks = Callbacks::new()
        .with(leaves.raise_errors())
        .with(handler(First).raise_errors())
        .with(handler(Fails).raise_errors());
    let run = start(&callbacks).await;
    assert_eq!(raised(run.new_token("t").await).1, "on_llm_new_token");
    assert_eq!(raised(run.text("t").await).2, "first");
    assert_eq!(raised(run.end(LlmResult::default()).await).1, "on_llm_end");
    let start = callbacks.chain_start(&CHAIN, Value::Null).await;
    assert!(matches!(start, Err(EmitError::Raised { .. })));
}

/// What the error of a start, an answer, or a stopped run raises where the run closes with it is the
/// lesser evil, and goes; whatever it does then, the emitter gets the first.
#[tokio::test]
async fn a_hostile_lesser_evil_does_not_reach_the_emitter() {
    struct Stops;

    #[callback_handler]
    impl Stops {
        fn on_tool_request(&self) -> Decision<String, Value> {
            Decision::Stop("no".to_owned())
        }

        fn on_llm_new_token(&self) -> Result<(), &'static str> {
            Err("no token")
        }
    }

    failures();
    let callbacks = Callbacks::new()
        .with(handler(Never).raise_errors().named("never"))
        .with(handler(Undying).raise_errors());
    let started = callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]);
    assert_eq!(raised(started.await.map(drop)).2, "no start");
    let callbacks = Callbacks::new()
        .with(handler(Stops).raise_errors())
        .with(handler(Undying).raise_errors());
    let stopped = callbacks.tool_start(&CHAIN, "").await.map(drop);
    assert!(matches!(stopped, Err(EmitError::Stopped { reason }) if reason == "no"));
    let run = start(&callbacks).await;
    let items = stream::iter(["Be", "cause"].map(Ok::<_, BoxError>));
    let mut items = run.stream(items, |item: &&str| Chunk::text(*item)).raise();
    let error = items.next().await.unwrap().unwrap_err();
    let refused = error.downcast::<EmitError>().unwrap();
    assert_eq!(raised(Err(*refused)).2, "no token");
}

/// The child's end raises what nobody waits for any more, and the parent is the last to hold it.
#[tokio::test]
async fn what_a_child_raises_does_not_keep_its_parent_open() {
    struct Slow(Arc<Notify>, Log);

    #[callback_handler]
    impl Slow {
        async fn on_tool_error(&self) -> Result<(), Heavy> {
            self.0.notified().await;
            self.1.add("tool error");
            Err(Heavy { _left: Undroppable })
        }

        async fn on_chain_end(&self) {
            self.1.add("chain end");
        }
    }

    failures();
    let (go, log) = (Arc::new(Notify::new()), Log::new());
    let slow = Slow(go.clone(), log.clone());
    let callbacks = Callbacks::new().with(handler(slow).raise_errors());
    let chain = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
    let tool = chain.callbacks().tool_start(&CHAIN, "").await.unwrap();
    drop(tool);
    let mut end = pin!(chain.end(Value::Null));
    assert!(poll!(end.as_mut()).is_pending());
    go.notify_one();
    // A task brings the child's end on, and then lets go of it.
    while log.lines().is_empty() {
        tokio::task::yield_now().await;
    }
    end.await.unwrap();
    assert_eq!(log.lines(), ["tool error", "chain end"]);
}
