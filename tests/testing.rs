//! The test kit: what it records, what it reports, and that it reports it.
#![allow(
    unreachable_pub,
    reason = "the events of a private set are as public as their module"
)]
#![allow(
    clippy::needless_raw_string_hashes,
    reason = "that is how `expect-test` writes what is expected"
)]

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use callbacks::events::{ChainEnd, LlmEnd, LlmNewToken, LlmStart, ToolStart};
use callbacks::testing::{Faulty, Recorded, Recorder, assert_events};
use callbacks::{
    Callbacks, EmitError, Event, Interests, LlmResult, Serialized, callback_events, handler,
};
use expect_test::{Expect, expect};
use serde_json::{Value, json};

static MODEL: Serialized = Serialized::new("Model");
static CHAIN: Serialized = Serialized::new("Chain");
static TOOL: Serialized = Serialized::new("Tool");

#[callback_events]
mod shop {
    pub struct Sold<'a> {
        pub item: &'a str,
        pub count: u32,
    }

    pub struct Closed;
}

/// A chain with a model in it.
async fn ask(callbacks: &Callbacks) -> Result<(), EmitError> {
    let chain = callbacks.chain_start(&CHAIN, json!("Why?")).name("planner");
    let chain = chain.await?;
    let prompts = || vec!["Why?".to_owned()];
    let model = chain.callbacks().llm_start(&MODEL, prompts).await?;
    model.new_token("Be").await?;
    model.new_token("cause").await?;
    model.end(LlmResult::from_text("Because")).await?;
    chain.end(Value::Null).await
}

/// What an assertion panics with.
fn panic_of(assertion: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(assertion)).expect_err("it does not hold");
    *panic.downcast::<String>().expect("a message")
}

fn check_panic(assertion: impl FnOnce(), expected: &Expect) {
    expected.assert_eq(&panic_of(assertion));
}

// Recorders.

#[tokio::test]
async fn it_records_every_way_of_delivery() {
    let (lane, inline, tasks) = (Recorder::new(), Recorder::new(), Recorder::new());
    let callbacks = Callbacks::new()
        .with(lane.clone())
        .with(handler(inline.clone()).inline())
        .with(tasks.clone().asynchronous());
    ask(&callbacks).await.unwrap();
    for recorder in [&lane, &inline, &tasks] {
        assert_events!(
            recorder,
            [
                "planner" => ChainStart { inputs } if *inputs == "Why?",
                "Model" => LlmStart { prompts: [prompt], .. } if prompt == "Why?",
                LlmNewToken { token: "Be", .. },
                LlmNewToken { token: "cause", chunk: None, choice: 0 },
                LlmError { response: Some(response) } | LlmEnd { response }
                    if response.text() == "Because",
                "planner" => ChainEnd { .. },
            ]
        );
        recorder.assert_balanced();
        recorder.assert_in_order();
    }
    let here = thread::current().id();
    let threads = |recorder: &Recorder| {
        let threads = recorder.events().into_iter().map(|event| event.thread());
        threads.collect::<HashSet<_>>()
    };
    assert!(!threads(&lane).contains(&here));
    assert_eq!(threads(&inline), HashSet::from([here]));
    assert_eq!(threads(&tasks), HashSet::from([here]));
}

#[tokio::test]
async fn it_records_what_there_is_to_know() {
    let recorder = Recorder::new();
    let callbacks = Callbacks::new().with(recorder.clone()).tag("prod");
    ask(&callbacks).await.unwrap();
    let events = recorder.events();
    let methods = events.iter().map(Recorded::method).collect::<Vec<_>>();
    let expected = [
        "on_chain_start",
        "on_llm_start",
        "on_llm_new_token",
        "on_llm_new_token",
        "on_llm_end",
        "on_chain_end",
    ];
    assert_eq!(methods, expected);
    let model = &events[1];
    assert!(model.is::<LlmStart<'_>>() && !model.is::<LlmEnd<'_>>());
    assert_eq!(model.run().tags(), ["prod"]);
    assert_eq!(model.run().parent_id(), Some(events[0].run().id()));
    assert!(events.windows(2).all(|two| two[0].seq() < two[1].seq()));

    let of_model = recorder.of_run(model.run().id());
    assert_events!(of_model, [LlmStart, LlmNewToken, LlmNewToken, LlmEnd]);
    assert_events!(of_model[2..], [LlmNewToken { token: "cause" }, LlmEnd]);
    assert_events!(&events[..1], [ChainStart]);
    assert_events!([events[5].clone()], [ChainEnd]);

    assert_eq!((recorder.len(), recorder.is_empty()), (6, false));
    assert_eq!(recorder.take().len(), 6);
    assert_eq!((recorder.len(), recorder.is_empty()), (0, true));
    assert_events!(recorder, []);
}

#[tokio::test]
async fn clones_are_one_handler_and_asynchronous_ones_another() {
    let recorder = Recorder::new();
    let callbacks = Callbacks::new()
        .with(recorder.clone())
        .with(handler(recorder.clone()).inline())
        .with(recorder.clone());
    ask(&callbacks).await.unwrap();
    assert_eq!(recorder.take().len(), 6);
    ask(&callbacks.with(recorder.clone().asynchronous()))
        .await
        .unwrap();
    assert_eq!(recorder.len(), 12);
}

#[tokio::test]
async fn it_records_any_set() {
    let recorder = Recorder::of::<shop::Events>();
    let callbacks = Callbacks::new().with(recorder.clone());
    let item = "tea".to_owned();
    let sold = shop::Sold {
        item: &item,
        count: 2,
    };
    callbacks.emit(sold).await.unwrap();
    let run = callbacks.tool_start(&TOOL, "").await.unwrap();
    run.emit(shop::Closed).await.unwrap();
    drop((item, run));
    assert_events!(recorder, in shop, [Sold { item: "tea", count: 1..=3 }, "Tool" => Closed]);
    assert_events!(recorder, in crate::shop, [Sold { .. }, Sold | Closed {}], "as well");
    assert!(recorder.events()[0].run().id().is_nil());

    // in another crate, where this one has another name
    let recorder = Recorder::of::<::shop::trade::Events>();
    let callbacks = Callbacks::new().with(recorder.clone());
    ::shop::sell_tea(&callbacks).await.unwrap();
    assert_events!(
        recorder,
        in ::shop::trade,
        [Sold { orders: [first, _], order: Some(order) } if first == order, Tick],
    );
}

#[tokio::test]
async fn it_waits_until_something_was_recorded() {
    let recorder = Recorder::new();
    let callbacks = Callbacks::new().with(recorder.clone());
    let mut asked = 0;
    let mut ended = Box::pin(recorder.until(|events| {
        asked += 1;
        events.iter().any(Recorded::is::<ChainEnd<'_>>)
    }));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(ended.as_mut().poll(&mut cx).is_pending());
    assert!(ended.as_mut().poll(&mut cx).is_pending());
    let task = tokio::spawn(async move { ask(&callbacks).await });
    assert_eq!(ended.await.len(), 6);
    task.await.unwrap().unwrap();
    assert!((2..=7).contains(&asked), "{asked}");

    // what it waits for may be there already, and the condition may look at the recorder
    let mut there = Box::pin(recorder.until(|events| recorder.len() == events.len()));
    let Poll::Ready(all) = there.as_mut().poll(&mut cx) else {
        panic!("it is there");
    };
    assert_eq!(all.len(), 6);
}

/// While one reads the record, others write it.
#[test]
fn it_can_be_read_while_it_is_written() {
    let recorder = Recorder::new();
    let inline = Callbacks::new().with(handler(recorder.clone()).inline());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    futures_executor::block_on(ask(&inline)).unwrap();
                }
            });
        }
        futures_executor::block_on(recorder.until(|events| events.len() == 4 * 50 * 6));
    });
    recorder.assert_balanced();
    recorder.assert_in_order();
}

// Assertions about events.

#[tokio::test]
async fn a_difference_is_readable() {
    let recorder = Recorder::new();
    ask(&Callbacks::new().with(recorder.clone())).await.unwrap();
    check_panic(
        || {
            assert_events!(
                recorder,
                [
                    "planner" => ChainStart,
                    LlmStart { prompts: [prompt] } if prompt == "How?",
                    LlmNewToken { token: "Be" },
                    LlmEnd,
                    "planner" => ChainEnd,
                ]
            );
        },
        &expect![[r#"
            the events are not the expected ones (-: did not come, +: not expected)
                  "planner" => ChainStart                                // planner #1
                - LlmStart { prompts: [prompt] } if prompt == "How?"
                + LlmStart { serialized: Some(Serialized { name: "Model", kwargs: {}, extra: {} }), prompts: ["Why?"], params: None } // Model #2
                  LlmNewToken { token: "Be" }                            // Model #3
                + LlmNewToken { token: "cause", chunk: None, choice: 0 } // Model #4
                  LlmEnd                                                 // Model #5
                  "planner" => ChainEnd                                  // planner #6"#]],
    );
    // too few, too many, none at all, of another run, in another order
    let none = Recorder::new();
    check_panic(
        || assert_events!(recorder.events()[..2], [ChainStart, LlmStart, LlmEnd]),
        &expect![[r#"
            the events are not the expected ones (-: did not come, +: not expected)
                  ChainStart // planner #1
                  LlmStart   // Model #2
                - LlmEnd"#]],
    );
    check_panic(
        || assert_events!(recorder.events()[..2], []),
        &expect![[r#"
        the events are not the expected ones (-: did not come, +: not expected)
            + ChainStart { serialized: Some(Serialized { name: "Chain", kwargs: {}, extra: {} }), inputs: String("Why?") } // planner #1
            + LlmStart { serialized: Some(Serialized { name: "Model", kwargs: {}, extra: {} }), prompts: ["Why?"], params: None } // Model #2"#]],
    );
    check_panic(
        || assert_events!(none, [LlmEnd { .. } | LlmError { response: None }]),
        &expect![[r#"
            the events are not the expected ones (-: did not come, +: not expected)
                - LlmEnd { .. } | LlmError { response: None }"#]],
    );
    check_panic(
        || assert_events!(recorder.events()[..1], ["chain" => ChainStart]),
        &expect![[r#"
            the events are not the expected ones (-: did not come, +: not expected)
                - "chain" => ChainStart
                + ChainStart { serialized: Some(Serialized { name: "Chain", kwargs: {}, extra: {} }), inputs: String("Why?") } // planner #1"#]],
    );
    check_panic(
        || assert_events!(recorder.events()[4..], [ChainEnd, LlmEnd]),
        &expect![[r#"
            the events are not the expected ones (-: did not come, +: not expected)
                - ChainEnd
                  LlmEnd                     // Model #5
                + ChainEnd { outputs: Null } // planner #6"#]],
    );
    let attempt = 3;
    check_panic(
        || assert_events!(recorder.events()[5..], [LlmEnd], "attempt {attempt}"),
        &expect![[r#"
            attempt 3: the events are not the expected ones (-: did not come, +: not expected)
                - LlmEnd
                + ChainEnd { outputs: Null } // planner #6"#]],
    );
}

#[tokio::test]
async fn a_difference_is_as_small_as_it_can_be() {
    let recorder = Recorder::of::<shop::Events>();
    let callbacks = Callbacks::new().with(recorder.clone());
    for item in ["a", "b", "c", "a", "b", "b", "a"] {
        callbacks.emit(shop::Sold { item, count: 1 }).await.unwrap();
    }
    callbacks.emit(shop::Closed).await.unwrap();
    check_panic(
        || {
            assert_events!(
                recorder,
                in shop,
                [
                    Sold { item: "c" },
                    Sold { item: "b" },
                    Sold { item: "a" },
                    Sold { item: "b" },
                    Sold { item: "a" },
                    Sold { item: "c" },
                    Closed
                ]
            );
        },
        &expect![[r#"
            the events are not the expected ones (-: did not come, +: not expected)
                - Sold { item: "c" }
                + Sold { item: "a", count: 1 } // outside any run #1
                  Sold { item: "b" }           // outside any run #2
                + Sold { item: "c", count: 1 } // outside any run #3
                  Sold { item: "a" }           // outside any run #4
                  Sold { item: "b" }           // outside any run #5
                + Sold { item: "b", count: 1 } // outside any run #6
                  Sold { item: "a" }           // outside any run #7
                - Sold { item: "c" }
                  Closed                       // outside any run #8"#]],
    );
}

#[tokio::test]
async fn a_difference_is_no_longer_than_one_can_read() {
    let recorder = Recorder::of::<shop::Events>();
    let callbacks = Callbacks::new().with(recorder.clone());
    let item = "näh ".repeat(100);
    for count in 0..2 {
        let item = &item[count as usize..];
        callbacks.emit(shop::Sold { item, count }).await.unwrap();
    }
    callbacks.emit(shop::Closed).await.unwrap();
    for count in 0..30 {
        let item = "tea";
        callbacks.emit(shop::Sold { item, count }).await.unwrap();
    }
    callbacks.emit(shop::Closed).await.unwrap();
    check_panic(
        || assert_events!(recorder, in shop, [Closed, Closed]),
        &expect![[r#"
            the events are not the expected ones (-: did not come, +: not expected)
                + Sold { item: "näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh nä .. // outside any run #1
                + Sold { item: "äh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh näh .. // outside any run #2
                  Closed                          // outside any run #3
                + Sold { item: "tea", count: 0 }  // outside any run #4
                + Sold { item: "tea", count: 1 }  // outside any run #5
                + Sold { item: "tea", count: 2 }  // outside any run #6
                + Sold { item: "tea", count: 3 }  // outside any run #7
                + Sold { item: "tea", count: 4 }  // outside any run #8
                + Sold { item: "tea", count: 5 }  // outside any run #9
                + Sold { item: "tea", count: 6 }  // outside any run #10
                + Sold { item: "tea", count: 7 }  // outside any run #11
                + Sold { item: "tea", count: 8 }  // outside any run #12
                + Sold { item: "tea", count: 9 }  // outside any run #13
                + Sold { item: "tea", count: 10 } // outside any run #14
                + Sold { item: "tea", count: 11 } // outside any run #15
                + Sold { item: "tea", count: 12 } // outside any run #16
                + Sold { item: "tea", count: 13 } // outside any run #17
                + Sold { item: "tea", count: 14 } // outside any run #18
                + Sold { item: "tea", count: 15 } // outside any run #19
                + Sold { item: "tea", count: 16 } // outside any run #20
                + Sold { item: "tea", count: 17 } // outside any run #21
                + Sold { item: "tea", count: 18 } // outside any run #22
                + Sold { item: "tea", count: 19 } // outside any run #23
                + .. and 10 more
                  Closed                          // outside any run #34"#]],
    );
}

/// It points at the assertion, not into the kit.
#[test]
fn it_fails_where_it_stands() {
    let here = thread::current().id();
    let (told, heard) = mpsc::channel();
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if thread::current().id() == here {
            let place = info
                .location()
                .map(|place| (place.file().to_owned(), place.line()));
            told.send(place).unwrap();
        }
        before(info);
    }));
    let recorder = Recorder::new();
    let line = line!() + 1;
    panic_of(|| assert_events!(recorder, [LlmStart]));
    assert_eq!(heard.try_recv(), Ok(Some((file!().to_owned(), line))));
}

// The balance of a record.

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

// The order of a record.

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

// Faulty handlers.

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

#[test]
fn all_of_it_can_be_shown() {
    let (faulty, stall) = Faulty::stall();
    let shown = format!(
        "{:?}\n{stall:?}\n{:?}\n{:?}",
        faulty.on::<LlmNewToken<'_>>(),
        Faulty::error("no").asynchronous(),
        Recorder::of::<shop::Events>(),
    );
    expect![[r#"
        Faulty(Fault { does: Stall, on: Interests(4), asynchronous: false, calls: 0 })
        Stall { stalled: 0 }
        Faulty(Fault { does: Error("no"), on: Interests(18446744073707978751), asynchronous: true, calls: 0 })
        Recorder { asynchronous: false, events: [] }"#]].assert_eq(&shown);
}
