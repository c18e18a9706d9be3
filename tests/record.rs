//! `record`: every event as a stream, in the order of its numbers, until the last emitter is gone.

use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Wake, Waker};
use std::thread;

use callbacks::events::AnyEvent;
use callbacks::{
    Callbacks, LlmResult, LlmRun, OnFull, Queue, Record, RunId, Serialized, callback_events,
};
use callbacks_tests::{LONG, start};
use futures_util::{FutureExt, Stream, StreamExt};
use serde_json::json;

async fn methods(records: impl Stream<Item = Record>) -> Vec<&'static str> {
    records.map(|record| record.method()).collect().await
}

#[tokio::test]
async fn a_stream_has_everything_and_ends() {
    static CHAIN: Serialized = Serialized::new("Chain");
    let (callbacks, records) = Callbacks::new().tag("t").record(Queue::bounded(256));
    let chain = callbacks.chain_start(&CHAIN, json!("in")).await.unwrap();
    let model = start(chain.callbacks()).await;
    model.new_token("token").await.unwrap();
    let (chain_id, model_id) = (chain.id(), model.id());
    model.end(LlmResult::from_text("text")).await.unwrap();
    chain.end(json!("out")).await.unwrap();
    drop(callbacks);
    let records: Vec<Record> = records.collect().await;
    let seen: Vec<(&str, RunId, u64)> = records
        .iter()
        .map(|record| (record.method(), record.run().id(), record.seq()))
        .collect();
    let expected = [
        ("on_chain_start", chain_id, 1),
        ("on_llm_start", model_id, 2),
        ("on_llm_new_token", model_id, 3),
        ("on_llm_end", model_id, 4),
        ("on_chain_end", chain_id, 5),
    ];
    assert_eq!(seen, expected);
    assert_eq!(records[1].run().parent_id(), Some(chain_id));
    assert_eq!(records[1].run().tags(), ["t"]);
    assert!(records.is_sorted_by_key(Record::time));
    let AnyEvent::LlmNewToken(token) = records[2].event() else {
        panic!("{:?}", records[2])
    };
    assert_eq!(token.token, "token");
    let serialized = serde_json::to_value(&**records[4].owned()).unwrap();
    assert_eq!(serialized, json!({ "ChainEnd": { "outputs": "out" } }));
}

#[tokio::test]
async fn a_run_is_not_over_while_something_of_it_is_unread() {
    let (callbacks, mut records) = Callbacks::new().record(Queue::bounded(256));
    let run = start(&callbacks).await;
    let info = run.info().clone();
    run.end(LlmResult::from_text("text")).await.unwrap();
    for method in ["on_llm_start", "on_llm_end"] {
        assert!(!info.is_over());
        assert_eq!(records.next().await.unwrap().method(), method);
    }
    assert!(info.is_over());
}

#[tokio::test]
async fn it_ends_only_when_the_last_run_is_gone() {
    let (callbacks, mut records) = Callbacks::new().record(Queue::bounded(256));
    let run = start(&callbacks).await;
    drop(callbacks);
    assert_eq!(records.next().await.unwrap().method(), "on_llm_start");
    assert!(records.next().now_or_never().is_none());
    drop(run);
    assert_eq!(methods(records).await, ["on_llm_error"]);
}

#[tokio::test]
async fn emissions_wait_for_whoever_reads() {
    let (callbacks, mut records) = Callbacks::new().record(Queue::bounded(2));
    let run = start(&callbacks).await;
    for token in ["one", "two"] {
        run.new_token(token).now_or_never().unwrap().unwrap();
    }
    let mut three = Box::pin(run.new_token("three"));
    assert!(three.as_mut().now_or_never().is_none());
    // The start has no place of its own, the first token has.
    records.next().await.unwrap();
    assert!(three.as_mut().now_or_never().is_none());
    records.next().await.unwrap();
    three.await.unwrap();
    run.end(LlmResult::default()).await.unwrap();
    drop(callbacks);
    assert_eq!(
        methods(records).await,
        ["on_llm_new_token", "on_llm_new_token", "on_llm_end"]
    );
}

#[tokio::test]
async fn who_reads_late_misses_tokens_but_no_end() {
    let queue = Queue::bounded(2).on_full(OnFull::DropNewest);
    let (callbacks, records) = Callbacks::new().record(queue);
    let run = start(&callbacks).await;
    for token in ["one", "two", "three", "four"] {
        run.new_token(token).await.unwrap();
    }
    run.end(LlmResult::default()).await.unwrap();
    let report = callbacks.flush(LONG).await;
    let [record] = &report.handlers[..] else {
        panic!("{report:?}")
    };
    assert_eq!((record.dropped, record.pending), (2, 4));
    drop(callbacks);
    let expected = [
        "on_llm_start",
        "on_llm_new_token",
        "on_llm_new_token",
        "on_llm_end",
    ];
    assert_eq!(methods(records).await, expected);
}

#[tokio::test]
async fn a_stream_that_is_dropped_holds_up_nobody() {
    let (callbacks, records) = Callbacks::new().record(Queue::bounded(1));
    let run = start(&callbacks).await;
    run.new_token("one").await.unwrap();
    let mut two = Box::pin(run.new_token("two"));
    assert!(two.as_mut().now_or_never().is_none());
    drop(records);
    two.await.unwrap();
    run.new_token("three").await.unwrap();
    run.end(LlmResult::default()).await.unwrap();
    let report = callbacks.flush(LONG).await;
    let record = &report.handlers[0];
    assert_eq!((record.delivered, record.dropped), (0, 5));
    assert!(report.is_complete());
}

/// As an executor does that polls at once what it wakes.
#[test]
fn a_waker_may_emit() {
    struct Emits(Mutex<Option<Arc<LlmRun>>>);

    impl Wake for Emits {
        fn wake(self: Arc<Self>) {
            if let Some(run) = self.0.lock().unwrap().take() {
                run.text("woken").now_or_never().unwrap().unwrap();
            }
        }
    }

    let (done, is_done) = mpsc::channel();
    // Here it would wait for itself for ever.
    thread::spawn(move || {
        let (callbacks, mut records) = Callbacks::new().record(Queue::bounded(8));
        let run = Arc::new(futures_executor::block_on(start(&callbacks)));
        drop(callbacks);
        assert!(records.next().now_or_never().is_some());
        let waker = Waker::from(Arc::new(Emits(Mutex::new(Some(run.clone())))));
        let polled = records.poll_next_unpin(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        run.text("wakes").now_or_never().unwrap().unwrap();
        drop(run);
        let texts = records.filter_map(|record| async move {
            match record.event() {
                AnyEvent::Text(text) => Some(text.text.to_owned()),
                _ => None,
            }
        });
        done.send(futures_executor::block_on(texts.collect::<Vec<_>>()))
            .unwrap();
    });
    let texts = is_done.recv_timeout(LONG).unwrap();
    assert_eq!(texts, ["wakes", "woken"]);
}

#[callback_events]
mod shop {
    pub(crate) struct Sold<'a> {
        pub(crate) item: &'a str,
    }
}

#[tokio::test]
async fn another_set_has_a_stream_of_its_own() {
    let (one, built_in) = Callbacks::new().record(Queue::bounded(8));
    let (callbacks, sold) = one.record_set::<shop::Events>(Queue::bounded(8));
    drop(one);
    let run = start(&callbacks).await;
    run.emit(shop::Sold { item: "tea" }).await.unwrap();
    callbacks.emit(shop::Sold { item: "cup" }).await.unwrap();
    let id = run.id();
    run.end(LlmResult::default()).await.unwrap();
    drop(callbacks);
    let sold: Vec<_> = sold.collect().await;
    let items = sold.iter().map(|record| match record.event() {
        shop::AnyEvent::Sold(sold) => sold.item,
    });
    assert_eq!(items.collect::<Vec<_>>(), ["tea", "cup"]);
    let runs = sold.iter().map(|record| record.run().id());
    assert_eq!(runs.collect::<Vec<_>>(), [id, RunId::NIL]);
    assert_eq!(methods(built_in).await, ["on_llm_start", "on_llm_end"]);
}

/// From several threads, in one run tree.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_in_the_order_of_their_numbers() {
    let (callbacks, records) = Callbacks::new().record(Queue::bounded(16));
    let read = tokio::spawn(records.map(|record| record.seq()).collect::<Vec<u64>>());
    let root = start(&callbacks).await;
    let tasks = [(); 4].map(|()| {
        let callbacks = root.callbacks().clone();
        tokio::spawn(async move {
            for _ in 0..100 {
                let run = start(&callbacks).await;
                run.new_token("token").await.unwrap();
                run.end(LlmResult::default()).await.unwrap();
            }
        })
    });
    for task in tasks {
        task.await.unwrap();
    }
    root.end(LlmResult::default()).await.unwrap();
    drop(callbacks);
    let numbers = read.await.unwrap();
    assert_eq!(numbers, (1..=1202).collect::<Vec<_>>());
}
