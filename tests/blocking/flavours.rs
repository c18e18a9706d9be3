//! Both flavours have to do with each other: in one run tree, and as arguments.

use callbacks::testing::{Recorder, assert_events};
use callbacks::{Callbacks, EmitError};
use callbacks_tests::{CHAIN, TOOL, logger};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::{call, current_thread, multi_thread};

/// One tree, two flavours: what blocks is a child of what is awaited.
#[test]
fn a_blocking_run_can_be_inside_an_async_one() {
    current_thread().block_on(async {
        let records = Recorder::new();
        let callbacks = Callbacks::new().with(records.clone());
        let chain = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
        let inside = chain.callbacks().blocking();
        let left = spawn_blocking(move || {
            call(&inside).unwrap();
            inside.tool_start(&TOOL, "left open").start().unwrap()
        });
        let left = left.await.unwrap();
        chain.end(Value::Null).await.unwrap();
        assert!(matches!(left.end(Value::Null), Err(EmitError::RunClosed)));
        assert_events!(
            records,
            [
                ChainStart,
                LlmStart,
                LlmNewToken,
                LlmNewToken,
                LlmEnd,
                ToolStart,
                ToolError,
                ChainEnd
            ]
        );
        records.assert_balanced();
    });
}

#[test]
fn code_in_scope_finds_the_callbacks() {
    let (callbacks, log) = logger();
    let chain = callbacks.blocking();
    let chain = chain.chain_start(&CHAIN, Value::Null).start().unwrap();
    chain.call_in_scope(|| {
        let callbacks = Callbacks::current().unwrap().blocking();
        callbacks.custom_event("found", json!(true)).unwrap();
    });
    assert_eq!(log.lines()[1..], ["Chain: custom \"found\" true"]);
    assert!(Callbacks::current().is_none());
}

/// A function for callbacks of either flavour, and a guard for any function.
#[test]
fn blocking_callbacks_are_callbacks() {
    fn tags(callbacks: &Callbacks) -> String {
        format!("{:?}", callbacks.tag("b"))
    }

    let callbacks = Callbacks::new().tag("a").blocking();
    assert!(tags(&callbacks).contains(r#"tags: ["a", "b"]"#));
    let chain = callbacks.chain_start(&CHAIN, Value::Null).start().unwrap();
    assert!(tags(chain.callbacks()).contains(r#"tags: ["a", "b"]"#));
    let inner = chain.callbacks().blocking();
    inner
        .tool_start(&TOOL, "x")
        .start()
        .unwrap()
        .end(Value::Null)
        .unwrap();
}

/// The lanes of an async emission and the thread of a blocking one share a handler and a run.
#[test]
fn both_flavours_of_one_run_tree_are_in_order() {
    multi_thread(1).block_on(async {
        let (callbacks, log) = logger();
        let chain = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
        let mut expected = vec!["Chain: chain start null".to_owned()];
        for number in 0..50 {
            let (one, two) = (format!("async {number}"), format!("blocking {number}"));
            chain.text(&one).await.unwrap();
            let inside = chain.callbacks().blocking();
            inside.custom_event(&two, Value::Null).unwrap();
            expected.push(format!("Chain: text {one:?}"));
            expected.push(format!("Chain: custom {two:?} null"));
        }
        assert_eq!(log.lines(), expected);
    });
}
