//! What is put off holds up nothing that need not wait for it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use callbacks::{BoxFuture, Callbacks, Queue, callback_handler, handler};
use callbacks_tests::{LONG, Log};
use futures_util::FutureExt;
use serde_json::json;
use tokio::sync::Notify;

use super::hears::{Hears, HearsLater, Own};
use super::inner;

/// Nobody waits for the method, so nobody may wait with what it put off until the method is done.
#[tokio::test]
async fn what_is_put_off_in_the_background_does_not_wait_for_the_method() {
    let (own, arrived) = (Own::default(), Arc::new(Notify::new()));
    let (emits, tells) = (own.clone(), arrived.clone());
    let stays = HearsLater(move |text: String| -> BoxFuture<'static, ()> {
        if text == "inner" {
            return Box::pin(async {});
        }
        emits.text("inner");
        Box::pin(std::future::pending())
    });
    let hears = Hears(move |text: &str| {
        if text == "inner" {
            tells.notify_one();
        }
    });
    let callbacks = Callbacks::new()
        .with(handler(stays).background(Queue::bounded(8)))
        .with(hears);
    let run = own.start(&callbacks).await;
    run.text("go").await.unwrap();
    tokio::time::timeout(LONG, arrived.notified())
        .await
        .unwrap();
}

/// Handlers that answer their own answers, without ever waiting for anything.
#[tokio::test]
async fn reactions_without_end_let_others_have_their_turn() {
    /// For the test to end, even if they do not.
    const END: usize = 20_000;

    let (own, stop) = (Own::default(), Arc::new(AtomicBool::new(false)));
    let heard = Arc::new(AtomicUsize::new(0));
    let (emits, stopped, count) = (own.clone(), stop.clone(), heard.clone());
    let reacts = Hears(move |_: &str| {
        let count = count.fetch_add(1, Ordering::SeqCst);
        if count < END && !stopped.load(Ordering::SeqCst) {
            emits.text("again");
        }
    });
    let callbacks = Callbacks::new().with(handler(reacts).inline());
    let run = own.start(&callbacks).await;
    let other = tokio::spawn(async move { stop.store(true, Ordering::SeqCst) });
    run.text("go").await.unwrap();
    other.await.unwrap();
    while !callbacks.flush(LONG).await.is_complete() {}
    let heard = heard.load(Ordering::SeqCst);
    assert!((2..END).contains(&heard), "{heard}");
}

/// What waits for no room must not wait for what does.
#[tokio::test]
async fn starts_and_ends_do_not_wait_for_what_is_put_off_behind_a_full_queue() {
    let (own, put_off) = (Own::default(), Arc::new(Notify::new()));
    let (emits, done) = (own.clone(), put_off.clone());
    let reacts = HearsLater(move |text: String| -> BoxFuture<'static, ()> {
        if text == "go" {
            emits.text("one");
            emits.text("two");
            done.notify_one();
        }
        Box::pin(async {})
    });
    let (callbacks, _records) = Callbacks::new()
        .with(handler(reacts).background(Queue::bounded(8)))
        .record(Queue::bounded(1));
    let run = own.start(&callbacks).await;
    let child = inner(run.callbacks()).await.unwrap();
    // The one place in the queue is taken by this, for nobody reads.
    run.text("go").await.unwrap();
    let ends_and_starts = async {
        put_off.notified().await;
        child.end(json!(null)).await.unwrap();
        inner(run.callbacks()).await.unwrap()
    };
    let started = tokio::time::timeout(LONG, ends_and_starts).await;
    started.unwrap().end(json!(null)).await.unwrap();
}

/// Each value has an order of its own for what is emitted outside any run.
#[tokio::test]
async fn outside_any_run_what_is_put_off_holds_up_its_own_value_alone() {
    #[derive(Default)]
    struct Slow {
        callbacks: OnceLock<Callbacks>,
        entered: Notify,
    }

    #[callback_handler]
    impl Slow {
        async fn on_custom_event(&self, name: &str) {
            if name == "inner" {
                self.entered.notify_one();
                std::future::pending::<()>().await;
            }
            let callbacks = self.callbacks.get().unwrap();
            callbacks.custom_event("inner", json!(null)).await.unwrap();
        }
    }

    struct Quick(Log);

    #[callback_handler]
    impl Quick {
        async fn on_custom_event(&self, name: &str) {
            self.0.add(name);
        }
    }

    let (log, slow) = (Log::new(), Arc::new(Slow::default()));
    let application = Callbacks::new().with(Quick(log.clone()));
    let callbacks = application.with(slow.clone());
    slow.callbacks.set(callbacks.clone()).unwrap();
    let mut go = Box::pin(callbacks.custom_event("go", json!(null)));
    assert!(go.as_mut().now_or_never().is_none());
    let emitted = async {
        slow.entered.notified().await;
        application.custom_event("other", json!(null)).await
    };
    let emitted = tokio::time::timeout(LONG, emitted).await;
    emitted.expect("the slow one is another value's").unwrap();
    assert_eq!(log.lines(), ["go", "inner", "other"]);
}
