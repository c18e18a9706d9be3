//! Rule 6: exactly one terminal event per start, however the code leaves the run.

use std::sync::Arc;
use std::task::{Context, Waker};

use callbacks::{Callbacks, LlmResult};
use callbacks_tests::{CHAIN, Logger, MODEL, RETRIEVER, TOOL, logger, prompts};
use serde_json::Value;
use tokio::sync::Notify;

use super::{Gate, settled};

#[tokio::test]
async fn a_guard_dropped_open_closes_with_an_error() {
    let (callbacks, log) = logger();
    drop(callbacks.llm_start(&MODEL, prompts).await.unwrap());
    drop(callbacks.chain_start(&CHAIN, &Value::Null).await.unwrap());
    drop(callbacks.tool_start(&TOOL, "").await.unwrap());
    drop(callbacks.retriever_start(&RETRIEVER, "").await.unwrap());
    let mut lines = settled(&log, 8).await;
    lines.sort();
    let expected = [
        "Chain: chain error Dropped",
        "Chain: chain start null",
        "Model: llm error Dropped None",
        r#"Model: llm start ["Why?"]"#,
        "Retriever: retriever error Dropped",
        r#"Retriever: retriever start """#,
        r#"Tool: tool error Dropped "the run was dropped before it ended" None"#,
        r#"Tool: tool start "" None None"#,
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn a_panic_in_the_body_closes_the_run() {
    let (callbacks, log) = logger();
    let body = tokio::spawn(async move {
        let _run = callbacks.chain_start(&CHAIN, &Value::Null).await.unwrap();
        panic!("the body panics");
    });
    assert!(body.await.unwrap_err().is_panic());
    let lines = settled(&log, 2).await;
    assert_eq!(
        lines,
        ["Chain: chain start null", "Chain: chain error Panicked"]
    );
}

#[tokio::test]
async fn a_payload_that_panics_closes_the_run() {
    let (callbacks, log) = logger();
    let body = tokio::spawn(async move {
        let run = callbacks.chain_start(&CHAIN, &Value::Null).await.unwrap();
        run.end(|| panic!("the payload panics")).await
    });
    assert!(body.await.unwrap_err().is_panic());
    let lines = settled(&log, 2).await;
    assert_eq!(
        lines,
        ["Chain: chain start null", "Chain: chain error Panicked"]
    );
}

#[tokio::test]
async fn an_end_that_is_cancelled_reaches_its_handlers_in_full() {
    let (gate, (_, log)) = (Arc::new(Gate::default()), logger());
    let callbacks = Callbacks::new()
        .with(gate.clone())
        .with(Logger(log.clone()));
    gate.open.notify_one();
    let run = callbacks.llm_start(&MODEL, prompts).await.unwrap();
    assert_eq!(gate.log.take(), ["start entered", "start left"]);

    let mut end = Box::pin(async move { run.end(&LlmResult::from_text("done")).await });
    let polled = end.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    assert_eq!(gate.log.lines(), ["end entered done"]);
    drop(end);
    gate.open.notify_one();
    assert_eq!(
        settled(&gate.log, 2).await,
        ["end entered done", "end left"]
    );
    let expected = [
        r#"Model: llm start ["Why?"]"#,
        r#"Model: llm end "done" None"#,
    ];
    assert_eq!(settled(&log, 2).await, expected);
}

#[tokio::test]
async fn an_end_that_is_never_polled_is_a_dropped_run() {
    let (callbacks, log) = logger();
    let run = callbacks.chain_start(&CHAIN, &Value::Null).await.unwrap();
    drop(run.end(&Value::Null));
    let lines = settled(&log, 2).await;
    assert_eq!(
        lines,
        ["Chain: chain start null", "Chain: chain error Dropped"]
    );
}

#[tokio::test]
async fn a_start_that_is_cancelled_closes_the_run() {
    let gate = Arc::new(Gate::default());
    let callbacks = Callbacks::new().with(gate.clone());
    {
        let mut start = Box::pin(callbacks.llm_start(&MODEL, prompts).into_future());
        let polled = start.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
    }
    assert_eq!(
        settled(&gate.log, 2).await,
        ["start entered", "error Dropped"]
    );
}

#[tokio::test]
async fn a_start_that_is_never_polled_is_none() {
    let (callbacks, log) = logger();
    drop(callbacks.llm_start(&MODEL, prompts).into_future());
    drop(callbacks.llm_start(&MODEL, prompts));
    let run = callbacks.chain_start(&CHAIN, &Value::Null).await.unwrap();
    run.end(&Value::Null).await.unwrap();
    assert_eq!(
        log.lines(),
        ["Chain: chain start null", "Chain: chain end null"]
    );
}

/// The task that holds the guard goes down with its runtime; the terminal event does not.
#[test]
fn a_run_whose_runtime_is_dropped_closes() {
    for flavor in ["current thread", "multi thread"] {
        let runtime = match flavor {
            "current thread" => tokio::runtime::Builder::new_current_thread().build(),
            _ => tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .build(),
        };
        let runtime = runtime.unwrap();
        let (callbacks, log) = logger();
        let gate = Arc::new(Gate::default());
        let callbacks = callbacks.with(gate.clone());
        gate.open.notify_one();
        let started = Arc::new(Notify::new());
        let told = started.clone();
        runtime.spawn(async move {
            let _run = callbacks.llm_start(&MODEL, prompts).await.unwrap();
            told.notify_one();
            std::future::pending::<()>().await;
        });
        runtime.block_on(started.notified());
        drop(runtime);

        let waiting = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        waiting.unwrap().block_on(async {
            let expected = [
                r#"Model: llm start ["Why?"]"#,
                "Model: llm error Dropped None",
            ];
            assert_eq!(settled(&log, 2).await, expected, "{flavor}");
            let expected = ["start entered", "start left", "error Dropped"];
            assert_eq!(settled(&gate.log, 3).await, expected, "{flavor}");
        });
    }
}

#[test]
fn a_run_without_any_runtime_closes() {
    let (callbacks, log) = logger();
    futures_executor::block_on(async {
        drop(callbacks.chain_start(&CHAIN, &Value::Null).await.unwrap());
    });
    let waiting = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let lines = waiting.unwrap().block_on(settled(&log, 2));
    assert_eq!(
        lines,
        ["Chain: chain start null", "Chain: chain error Dropped"]
    );
}

#[test]
fn a_run_ends_on_another_runtime_than_it_started_on() {
    let (callbacks, log) = logger();
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
    };
    let (one, other) = (runtime(), runtime());
    let run = one.block_on(callbacks.tool_start(&TOOL, "").into_future());
    drop(one);
    other.block_on(run.unwrap().end(Value::Null)).unwrap();
    let expected = [
        r#"Tool: tool start "" None None"#,
        "Tool: tool end null None",
    ];
    assert_eq!(log.lines(), expected);
}
