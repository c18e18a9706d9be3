//! Rule 1: nobody listening costs nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use allocation_counter::measure;
use callbacks::events::{AnyEvent, Events, LlmEnd, LlmNewToken};
use callbacks::{
    BoxFuture, Callbacks, Deliver, Event, Handler, Interests, LlmResult, Message, Outcome,
    Registered, Run, Serialized, callback_handler,
};
use callbacks_tests::{MODEL, start};
use futures_executor::block_on;
use futures_util::FutureExt;

/// Says what it is interested in, and counts all calls whatever the event.
struct Counter {
    calls: AtomicUsize,
    interests: Interests,
}

impl Deliver<Events> for Counter {
    fn interests(&self) -> Interests {
        self.interests
    }

    fn async_interests(&self) -> Interests {
        self.interests
    }

    fn deliver(&self, _: &Run<'_>, _: &AnyEvent<'_>) -> Outcome {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn deliver_async<'a, 'e: 'a>(
        &'a self,
        _: &'a Run<'e>,
        _: &'a AnyEvent<'e>,
    ) -> BoxFuture<'a, Outcome> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Ok(()) })
    }
}

impl Handler<Events> for Counter {
    type Delivery = Self;

    fn register(self) -> Registered<Events, Self> {
        Registered::new(Arc::new(self))
    }
}

#[tokio::test]
async fn a_handler_without_a_method_for_an_event_is_never_entered() {
    let counter = Arc::new(Counter {
        calls: AtomicUsize::new(0),
        interests: Interests::of(&[LlmEnd::INDEX]),
    });
    let callbacks = Callbacks::new().with(counter.clone());
    let run = start(&callbacks).await;
    for _ in 0..100 {
        run.new_token("token").await.unwrap();
        run.text("text").await.unwrap();
    }
    assert_eq!(counter.calls.load(Ordering::Relaxed), 0);
    run.end(&LlmResult::from_text("text")).await.unwrap();
    assert_eq!(
        counter.calls.load(Ordering::Relaxed),
        2,
        "once sync, once async"
    );
}

#[tokio::test]
async fn payloads_that_nobody_listens_to_are_not_made() {
    struct OnlyTokens;

    #[callback_handler]
    impl OnlyTokens {
        fn on_llm_new_token(&self) {}
    }

    for callbacks in [Callbacks::new(), Callbacks::new().with(OnlyTokens)] {
        let run = callbacks
            .chat_model_start(&MODEL, || -> Vec<Message> { panic!("made for nobody") })
            .params(|| panic!("made for nobody"))
            .await
            .unwrap();
        run.custom_event("name", || panic!("made for nobody"))
            .await
            .unwrap();
        run.retry(|| panic!("made for nobody")).await.unwrap();
        run.end(|| panic!("made for nobody")).await.unwrap();
    }
}

#[tokio::test]
async fn wants_tells_who_listens() {
    struct Tokens;

    #[callback_handler]
    impl Tokens {
        async fn on_llm_new_token(&self) {}
    }

    let callbacks = Callbacks::new();
    assert!(!callbacks.wants::<LlmNewToken<'_>>());
    let callbacks = callbacks.with(Tokens);
    assert!(callbacks.wants::<LlmNewToken<'_>>());
    assert!(!callbacks.wants::<LlmEnd<'_>>());
}

#[test]
fn nothing_is_allocated_for_nobody() {
    struct OnlyRetries;

    #[callback_handler]
    impl OnlyRetries {
        fn on_retry(&self) {}
    }

    async fn unheard(callbacks: &Callbacks) {
        let run = callbacks.tool_start(&MODEL, "input").await.unwrap();
        run.text("text").await.unwrap();
        run.end(|| panic!("made for nobody")).await.unwrap();
        callbacks
            .custom_event("name", || panic!("made for nobody"))
            .await
            .unwrap();
    }

    struct OnlyEnds;

    #[callback_handler]
    impl OnlyEnds {
        fn on_llm_end(&self) {}
    }

    // What the executor itself needs once.
    block_on(async {});
    let tagged = Callbacks::new().tag("tag").metadata("key", "value");
    for callbacks in [Callbacks::new(), tagged.with(OnlyEnds)] {
        let measured = measure(|| block_on(unheard(&callbacks)));
        assert_eq!(measured.count_total, 0);
    }
    // Of a run that is heard, an event that is not.
    let callbacks = Callbacks::new().with(OnlyRetries);
    let run = block_on(start(&callbacks));
    let measured = measure(|| block_on(run.new_token("token")).unwrap());
    assert_eq!(measured.count_total, 0);
}

/// As an async function does, whether somebody listens or not: who waits for it a second time by mistake does
/// not wait for ever.
#[test]
fn a_start_panics_where_it_is_polled_after_its_end() {
    struct OnlyTools;

    #[callback_handler]
    impl OnlyTools {
        async fn on_tool_start(&self) {}
    }

    let it = Serialized::new("it");

    for callbacks in [Callbacks::new(), Callbacks::new().with(OnlyTools)] {
        let mut start = callbacks.tool_start(&it, "input").into_future();
        assert!((&mut start).now_or_never().is_some());
        let again = catch_unwind(AssertUnwindSafe(|| (&mut start).now_or_never()));
        assert!(again.is_err());
    }
}
