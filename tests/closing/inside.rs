//! Rule 7: parents open before children and close after them.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use callbacks::{Callbacks, EmitError, LlmResult, Run, RunError, RunId, callback_handler, handler};
use callbacks_tests::{CHAIN, Log, MODEL, TOOL, logger, prompts};
use serde_json::Value;
use tokio::sync::Notify;

use super::{Gate, settled};

#[tokio::test]
async fn what_is_open_inside_closes_first_deepest_first() {
    let (callbacks, log) = logger();
    let root = callbacks
        .chain_start(&CHAIN, &Value::Null)
        .name("root")
        .await
        .unwrap();
    let middle = root
        .callbacks()
        .chain_start(&CHAIN, &Value::Null)
        .name("middle");
    let middle = middle.await.unwrap();
    let leaf = middle
        .callbacks()
        .llm_start(&MODEL, prompts)
        .name("leaf")
        .await
        .unwrap();
    let inside = leaf.callbacks().clone();
    log.take();

    root.end(&Value::Null).await.unwrap();
    let expected = [
        "leaf: llm error Abandoned None",
        "middle: chain error Abandoned",
        "root: chain end null",
    ];
    assert_eq!(log.take(), expected);

    assert!(matches!(
        leaf.new_token("late").await,
        Err(EmitError::RunClosed)
    ));
    assert!(matches!(leaf.text("late").await, Err(EmitError::RunClosed)));
    let late = inside.tool_start(&TOOL, "").await;
    assert!(matches!(late, Err(EmitError::RunClosed)));
    assert!(matches!(
        leaf.end(&LlmResult::default()).await,
        Err(EmitError::RunClosed)
    ));
    let late = middle.error(RunError::new("late")).await;
    assert!(matches!(late, Err(EmitError::RunClosed)));
    assert!(log.lines().is_empty());
}

/// The child's end hangs in a handler and is polled by nobody; the parent's end brings it on.
#[tokio::test]
async fn a_parent_waits_for_a_child_that_is_closing() {
    let (callbacks, log) = logger();
    let gate = Arc::new(Gate {
        log: log.clone(),
        open: Notify::new(),
    });
    gate.open.notify_one();
    let root = callbacks.chain_start(&CHAIN, &Value::Null).await.unwrap();
    let inside = root.callbacks().with(gate.clone());
    let child = inside.llm_start(&MODEL, prompts).await.unwrap();
    log.take();

    let result = LlmResult::from_text("done");
    let mut end = Box::pin(child.end(&result));
    let polled = end.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    let mut parent = Box::pin(root.end(&Value::Null));
    let polled = parent
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    gate.open.notify_one();
    parent.await.unwrap();
    let lines = log.take();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(lines[3], "Chain: chain end null", "{lines:?}");
    end.await.unwrap();
    assert!(log.lines().is_empty());
}

#[tokio::test]
async fn a_leaked_guard_is_closed_by_its_parent() {
    let (callbacks, log) = logger();
    let root = callbacks.chain_start(&CHAIN, &Value::Null).await.unwrap();
    std::mem::forget(root.callbacks().tool_start(&TOOL, "").await.unwrap());
    root.end(&Value::Null).await.unwrap();
    let message = "the run was still open when the run around it closed";
    let error = format!("Tool: tool error Abandoned {message:?} None");
    assert_eq!(log.lines()[2..], [error.as_str(), "Chain: chain end null"]);
}

/// The start is on its way to the handlers when the run around it closes.
#[tokio::test]
async fn a_run_that_is_closed_while_it_starts_has_a_start_and_an_end() {
    /// Ends the run around the one that starts.
    struct Closer {
        log: Log,
        parent: Mutex<Option<callbacks::ChainRun>>,
    }

    #[callback_handler]
    impl Closer {
        fn on_tool_start(&self) {
            let Some(parent) = self.parent.lock().unwrap().take() else {
                return;
            };
            let mut end = Box::pin(parent.end(Value::Null));
            let polled = end.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(matches!(polled, Poll::Ready(Ok(()))), "nothing waits here");
            self.log.add("closing");
        }
    }

    let (callbacks, log) = logger();
    let closer = Arc::new(Closer {
        log: log.clone(),
        parent: Mutex::new(None),
    });
    let callbacks = callbacks.with(handler(closer.clone()).inline());
    let parent = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
    let inside = parent.callbacks().clone();
    log.take();
    *closer.parent.lock().unwrap() = Some(parent);
    let tool = inside.tool_start(&TOOL, "").await.unwrap();
    let lines = settled(&log, 4).await;
    let message = "the run was still open when the run around it closed";
    let expected = [
        "closing".to_owned(),
        r#"Tool: tool start "" None None"#.to_owned(),
        format!("Tool: tool error Abandoned {message:?} None"),
        "Chain: chain end null".to_owned(),
    ];
    assert_eq!(lines, expected);
    assert!(matches!(
        tool.end(Value::Null).await,
        Err(EmitError::RunClosed)
    ));
}

/// Parents close on one thread while children start on another.
#[test]
fn starts_and_closings_race() {
    #[derive(Default)]
    struct Balance(Mutex<std::collections::HashMap<RunId, i32>>);

    #[callback_handler]
    impl Balance {
        fn on_llm_start(&self, run: &Run<'_>) {
            *self.0.lock().unwrap().entry(run.id()).or_default() += 1;
        }

        fn on_llm_error(&self, run: &Run<'_>) {
            let mut balance = self.0.lock().unwrap();
            let open = balance.get_mut(&run.id()).expect("a start before its end");
            *open -= 1;
        }
    }

    let balance = Arc::new(Balance::default());
    let callbacks = Callbacks::new().with(balance.clone());
    // large enough that its copy takes a while
    let prompts = vec!["prompt".to_owned(); 2_000];
    for round in 0..200 {
        let root = callbacks.chain_start(&CHAIN, Value::Null);
        let root = futures_executor::block_on(root.into_future()).unwrap();
        let inside = root.callbacks().clone();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                futures_executor::block_on(async {
                    while let Ok(run) = inside.llm_start(&MODEL, &prompts).await {
                        std::mem::forget(run);
                    }
                });
            });
            (0..round).for_each(|_| std::thread::yield_now());
            futures_executor::block_on(root.end(Value::Null)).unwrap();
        });
    }
    let balance = balance.0.lock().unwrap();
    assert!(balance.values().all(|open| *open == 0), "{balance:?}");
}
