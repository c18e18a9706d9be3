//! Handlers that fail, stall or emit, where a test wants it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use callbacks::events::{ChainEnd, LlmEnd, LlmNewToken, ToolStart};
use callbacks::testing::{Faulty, Recorder, assert_events};
use callbacks::{Callbacks, EmitError, Event, Interests, handler};
use callbacks_tests::TOOL;
use serde_json::json;

use super::{ask, shop};

/// Each way to fail, and what it says.
fn failures() -> [(Faulty, &'static str); 4] {
    [
        (Faulty::error("no disk"), "no disk"),
        (Faulty::panic("no head"), "no head"),
        (Faulty::calling(|_| Err("no luck")), "no luck"),
        (
            Faulty::calling_async(|_| async { Err("no time") }),
            "no time",
        ),
    ]
}

#[tokio::test]
async fn failures_reach_the_emitter_if_they_are_raised() {
    for (faulty, message) in failures() {
        for asynchronous in [false, true] {
            let faulty = if asynchronous {
                faulty.clone().asynchronous()
            } else {
                faulty.clone()
            };
            let before = faulty.calls();
            let callbacks = Callbacks::new().with(handler(faulty.clone()).raise_errors());
            let Err(EmitError::Raised {
                handler,
                event,
                source,
                ..
            }) = ask(&callbacks).await
            else {
                panic!("{faulty:?} does not fail");
            };
            assert_eq!(handler, "callbacks::testing::Faulty");
            assert_eq!(event, "on_chain_start");
            assert!(source.to_string().contains(message), "{source}");
            // the start, and the error that closes the run
            assert_eq!(faulty.calls() - before, 2);
        }
    }
}

#[tokio::test]
async fn failures_that_are_not_raised_change_nothing() {
    let recorder = Recorder::new();
    let mut callbacks = Callbacks::new();
    let mut all = Vec::new();
    for (faulty, _) in failures() {
        let asynchronous = faulty.clone().asynchronous();
        callbacks = callbacks
            .with(faulty.clone())
            .with(handler(faulty.clone()).inline())
            .with(asynchronous.clone());
        all.push((faulty, asynchronous));
    }
    callbacks = callbacks.with(recorder.clone());
    ask(&callbacks).await.unwrap();
    recorder.assert_balanced();
    assert_eq!(recorder.len(), 6);
    for (faulty, asynchronous) in all {
        // the same handler twice, then another one that counts with it
        assert_eq!(
            (faulty.calls(), asynchronous.calls()),
            (12, 12),
            "{faulty:?}"
        );
    }
}

#[tokio::test]
async fn a_fault_is_where_it_is_wanted() {
    let faulty = Faulty::error("no")
        .on::<LlmNewToken<'_>>()
        .on::<LlmEnd<'_>>();
    ask(&Callbacks::new().with(faulty.clone())).await.unwrap();
    assert_eq!(faulty.calls(), 3);
    let only = handler(faulty.clone()).only(Interests::of(&[LlmEnd::INDEX]));
    ask(&Callbacks::new().with(only)).await.unwrap();
    assert_eq!(faulty.calls(), 4);

    let faulty = Faulty::error("no")
        .of::<shop::Events>()
        .on::<shop::Sold<'_>>();
    let callbacks = Callbacks::new().with(handler(faulty.clone()).raise_errors());
    callbacks.emit(shop::Closed).await.unwrap();
    let sold = shop::Sold {
        item: "tea",
        count: 1,
    };
    callbacks.emit(sold).await.unwrap_err();
    ask(&callbacks).await.unwrap();
    assert_eq!(faulty.calls(), 1);
}

#[tokio::test]
async fn a_stalled_call_waits_to_be_let_go() {
    for asynchronous in [false, true] {
        let (faulty, stall) = Faulty::stall();
        let faulty = if asynchronous {
            faulty.asynchronous()
        } else {
            faulty
        };
        let recorder = Recorder::new();
        let callbacks = Callbacks::new()
            .with(handler(recorder.clone()).inline())
            .with(faulty.clone());
        let task = tokio::spawn(async move { ask(&callbacks).await });
        for call in 1..=4 {
            stall.entered().await;
            assert_eq!((stall.stalled(), faulty.calls()), (1, call));
            assert_eq!(recorder.len(), call);
            stall.release();
            assert_eq!(stall.stalled(), 0);
        }
        // without its other end nothing stalls any more
        stall.entered().await;
        assert!(!task.is_finished());
        drop(stall);
        task.await.unwrap().unwrap();
        assert_eq!((faulty.calls(), recorder.len()), (6, 6));
    }
}

#[tokio::test]
async fn all_stalled_calls_are_let_go_at_once() {
    let (faulty, stall) = Faulty::stall();
    let callbacks = Callbacks::new()
        .with(faulty.clone())
        .with(faulty.asynchronous());
    let tasks = (0..3).map(|_| {
        let callbacks = callbacks.clone();
        tokio::spawn(async move { callbacks.tool_start(&TOOL, "").await.map(drop) })
    });
    let tasks = tasks.collect::<Vec<_>>();
    while stall.stalled() < 6 {
        tokio::task::yield_now().await;
    }
    drop(stall);
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}

/// A timeout drops an async call where it stalls, and leaves a plain one behind.
#[tokio::test(start_paused = true)]
async fn a_stalled_call_can_be_given_up() {
    let (faulty, stall) = Faulty::stall();
    let stalls = handler(faulty.asynchronous()).timeout(Duration::from_secs(1));
    let callbacks = Callbacks::new().with(stalls.raise_errors());
    let start = callbacks.tool_start(&TOOL, "").await;
    assert!(matches!(start, Err(EmitError::Raised { .. })), "{start:?}");
    assert_eq!(stall.stalled(), 0);

    let (faulty, stall) = Faulty::stall();
    let stalls = handler(faulty.on::<ToolStart<'_>>()).timeout(Duration::from_secs(1));
    let callbacks = Callbacks::new().with(stalls);
    let run = callbacks.tool_start(&TOOL, "").await.unwrap();
    stall.entered().await;
    assert_eq!(stall.stalled(), 1);
    drop(run);
}

/// A test that fails drops the other end, and with it all that stalls.
#[test]
fn a_failing_test_does_not_hang() {
    let (faulty, stall) = Faulty::stall();
    let callbacks = Callbacks::new().with(handler(faulty.clone()).inline());
    let task = thread::spawn(move || futures_executor::block_on(ask(&callbacks)));
    futures_executor::block_on(stall.entered());
    let failed = catch_unwind(AssertUnwindSafe(move || {
        assert_eq!(stall.stalled(), 7);
    }));
    failed.unwrap_err();
    task.join().unwrap().unwrap();
    assert_eq!(faulty.calls(), 6);
}

#[tokio::test]
async fn a_closure_can_emit_from_within_a_call() {
    let (recorder, elsewhere) = (Recorder::new(), Recorder::new());
    let others = Callbacks::new().with(handler(elsewhere.clone()).inline());
    let asked = others.clone();
    let plain = Faulty::calling(move |run| {
        let start = asked.tool_start(&TOOL, run.name()).into_future();
        futures_executor::block_on(async { start.await?.end(json!(1)).await })
    });
    let asynchronous = Faulty::calling_async(move |run| {
        let others = others.clone();
        async move {
            others
                .tool_start(&TOOL, run.name())
                .await?
                .end(json!(2))
                .await
        }
    });
    let callbacks = Callbacks::new()
        .with(handler(plain.on::<LlmEnd<'_>>()).raise_errors())
        .with(handler(asynchronous.on::<ChainEnd<'_>>()).raise_errors())
        .with(recorder.clone());
    ask(&callbacks).await.unwrap();
    recorder.assert_balanced();
    elsewhere.assert_balanced();
    assert_events!(
        elsewhere,
        [
            ToolStart { input: "Model" },
            ToolEnd { output } if *output == 1,
            ToolStart { input: "planner" },
            ToolEnd { output } if *output == 2,
        ]
    );
}
