//! What a `Recorder` records, and that it can be waited for.

use std::collections::HashSet;
use std::task::{Context, Poll, Waker};
use std::thread;

use callbacks::events::{ChainEnd, LlmEnd, LlmStart};
use callbacks::testing::{Recorded, Recorder, assert_events};
use callbacks::{Callbacks, handler};
use callbacks_tests::TOOL;

use super::{ask, shop};

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
