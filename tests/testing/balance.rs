//! Whether a record is balanced, and in order.

use std::thread;

use callbacks::events::LlmNewToken;
use callbacks::testing::{Faulty, Recorder, assert_events};
use callbacks::{Callbacks, Interests, LlmResult, handler};
use callbacks_tests::{CHAIN, MODEL, TOOL};
use expect_test::expect;
use serde_json::{Value, json};

use super::{ask, check_panic, shop};

#[tokio::test]
async fn a_run_that_is_open_is_unbalanced_until_it_is_closed() {
    let recorder = Recorder::new();
    recorder.assert_balanced();
    let callbacks = Callbacks::new().with(recorder.clone());
    let chain = callbacks.chain_start(&CHAIN, Value::Null).id(1_u128);
    let chain = chain.await.unwrap();
    let tool = chain.callbacks().tool_start(&TOOL, "").id(2_u128);
    let tool = tool.await.unwrap();
    check_panic(
        || recorder.assert_balanced(),
        &expect![[r#"
        the record is not balanced: 2 problems
            `Chain` (00000000-0000-0000-0000-000000000001) started with on_chain_start (#1) and never ended
            `Tool` (00000000-0000-0000-0000-000000000002) started with on_tool_start (#2) and never ended"#]],
    );
    drop((chain, tool));
    let all = recorder.until(|_| recorder.balanced().is_ok()).await;
    assert_events!(all, [ChainStart, ToolStart, ToolError, ChainError]);
}

#[tokio::test]
async fn half_a_record_is_unbalanced() {
    let recorder = Recorder::new();
    let callbacks = Callbacks::new().with(recorder.clone());
    let tool = callbacks.tool_start(&TOOL, "").id(1_u128).await.unwrap();
    recorder.take();
    tool.text("adding").await.unwrap();
    tool.end(json!(2)).await.unwrap();
    check_panic(
        || recorder.assert_balanced(),
        &expect![[r#"
        the record is not balanced: 1 problem
            `Tool` (00000000-0000-0000-0000-000000000001) never started, but there is on_text (#2)"#]],
    );
}

#[tokio::test]
async fn an_id_of_two_runs_is_found() {
    let recorder = Recorder::new();
    let callbacks = Callbacks::new().with(recorder.clone());
    for _ in 0..2 {
        let tool = callbacks.tool_start(&TOOL, "").id(1_u128).await.unwrap();
        tool.end(json!(2)).await.unwrap();
    }
    let problems = recorder.balanced().unwrap_err();
    let started = "started with on_tool_start (#1), and again with on_tool_start (#1)";
    assert!(problems.to_string().contains(started), "{problems}");
}

/// What is local to a run or merged within one is seen in part.
#[tokio::test]
async fn a_handler_of_some_runs_sees_them_balanced() {
    let (local, inner, models) = (Recorder::new(), Recorder::new(), Recorder::new());
    let callbacks = Callbacks::new()
        .with_local(local.clone())
        .with(handler(models.clone()).only(Interests::LLM));
    let chain = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
    let inside = chain.callbacks().with(inner.clone());
    inside.emit(shop::Closed).await.unwrap();
    ask(&inside).await.unwrap();
    chain.end(Value::Null).await.unwrap();
    assert_events!(local, [ChainStart, ChainEnd]);
    assert_eq!((models.len(), inner.len()), (4, 6));
    for recorder in [local, inner, models] {
        recorder.assert_balanced();
    }
}

/// Ten thousand runs in each other, and ten thousand beside each other.
#[tokio::test]
async fn a_large_record_is_checked_in_time() {
    let recorder = Recorder::new();
    let callbacks = Callbacks::new().with(handler(recorder.clone()).inline());
    let root = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
    let mut runs = Vec::new();
    let mut inside = root.callbacks().clone();
    for _ in 0..10_000 {
        let run = inside.chain_start(&CHAIN, Value::Null).await.unwrap();
        inside = run.callbacks().clone();
        runs.push(run);
        runs.push(callbacks.chain_start(&CHAIN, Value::Null).await.unwrap());
    }
    root.end(Value::Null).await.unwrap();
    drop(runs);
    recorder.until(|_| recorder.len() == 2 * 20_001).await;
    recorder.assert_balanced();
}

/// One thread is held up between the number of an event and its record, another one is not.
#[test]
fn a_record_that_is_out_of_order_is_found() {
    let (recorder, (faulty, stall)) = (Recorder::new(), Faulty::stall());
    let callbacks = Callbacks::new()
        .with(handler(faulty.on::<LlmNewToken<'_>>()).inline())
        .with(handler(recorder.clone()).inline());
    let start = callbacks.llm_start(&MODEL, Vec::new).into_future();
    let run = futures_executor::block_on(start).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| futures_executor::block_on(run.new_token("late")).unwrap());
        futures_executor::block_on(stall.entered());
        futures_executor::block_on(run.text("early")).unwrap();
        stall.release();
    });
    futures_executor::block_on(run.end(LlmResult::default())).unwrap();
    assert_events!(
        recorder,
        [LlmStart, Text, LlmNewToken { token: "late" }, LlmEnd]
    );
    recorder.assert_balanced();
    check_panic(
        || recorder.assert_in_order(),
        &expect![[r#"
        the record is not in order: 1 problem
            on_llm_new_token (#2) of `Model` came after on_text (#3) of `Model`"#]],
    );
}
