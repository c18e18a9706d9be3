//! What a subscriber does is code of users, too. Where a span is copied or dropped it emits in the same tree, for
//! no such code runs under the lock of that; where one is entered or left it panics, or emits.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use callbacks::{
    BoxError, Callbacks, ChainRun, EmitError, OnFull, Queue, callback_handler, handler,
};
use callbacks_tests::{CHAIN, Log, TOOL, raised};
use futures_executor::block_on;
use futures_util::FutureExt;
use serde_json::Value;
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Metadata, Subscriber};
use tracing_core::span::Current;

/// Emits in the run whenever a span is copied or dropped, and acts where one is entered or left.
#[derive(Default)]
struct Emits {
    run: OnceLock<Arc<ChainRun>>,
    times: AtomicUsize,
    at_spans: OnceLock<Box<dyn Fn(Way) + Send + Sync>>,
}

thread_local! {
    /// Whether this is the thread that emits, and not inside of this subscriber already.
    static WATCHED: Cell<bool> = const { Cell::new(false) };
    static SPAN: Cell<Option<&'static Metadata<'static>>> = const { Cell::new(None) };
}

impl Emits {
    fn emit(&self) {
        if !WATCHED.replace(false) {
            return;
        }
        if let Some(run) = self.run.get() {
            self.times.fetch_add(1, Ordering::SeqCst);
            // Only that it goes on is asked for; it may wait for its handler.
            let _ = run.text("from the subscriber").now_or_never();
        }
        WATCHED.set(true);
    }

    fn at_span(&self, way: Way) {
        if let Some(act) = self.at_spans.get() {
            act(way);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

impl Subscriber for Emits {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        SPAN.set(Some(span.metadata()));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {
        self.at_span(Way::In);
    }

    fn exit(&self, _: &Id) {
        self.at_span(Way::Out);
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.emit();
        id.clone()
    }

    fn try_close(&self, _: Id) -> bool {
        self.emit();
        false
    }

    fn current_span(&self) -> Current {
        match SPAN.get() {
            Some(metadata) => Current::new(Id::from_u64(1), metadata),
            None => Current::none(),
        }
    }
}

struct Hears;

#[callback_handler]
impl Hears {
    fn on_text(&self) {}
}

/// Emits a few events to these handlers, in a span of such a subscriber.
fn emit_to(callbacks: impl FnOnce(Callbacks) -> Callbacks + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    // Who stands still does not come to an end.
    thread::spawn(move || {
        let emits = Arc::new(Emits::default());
        let subscriber = Dispatch::from(emits.clone() as Arc<dyn Subscriber + Send + Sync>);
        tracing::dispatcher::with_default(&subscriber, || {
            let _span = tracing::info_span!("around");
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            runtime.block_on(async {
                let callbacks = callbacks(Callbacks::new());
                let run = callbacks.chain_start(&CHAIN, Value::Null);
                let run = Arc::new(run.await.unwrap());
                let _ = emits.run.set(run.clone());
                WATCHED.set(true);
                for _ in 0..4 {
                    run.text("text").await.unwrap();
                }
                WATCHED.set(false);
            });
            assert!(emits.times.load(Ordering::SeqCst) > 0);
            done.send(()).unwrap();
        });
    });
    let ended = is_done.recv_timeout(Duration::from_secs(30));
    ended.expect("an emission stands still");
}

#[test]
fn on_a_lane() {
    emit_to(|callbacks| callbacks.with(Hears));
}

#[test]
fn in_the_background() {
    emit_to(|callbacks| callbacks.with(handler(Hears).background(Queue::bounded(64))));
}

#[test]
fn where_there_is_no_room() {
    emit_to(|callbacks| {
        let queue = Queue::bounded(1).on_full(OnFull::DropNewest);
        callbacks.with(handler(Hears).background(queue))
    });
}

#[test]
fn in_a_record() {
    emit_to(|callbacks| {
        let (callbacks, records) = callbacks.record(Queue::bounded(256));
        // Kept, for a stream that is dropped is not written to.
        std::mem::forget(records);
        callbacks
    });
}

struct Ends(Log);

#[callback_handler]
impl Ends {
    async fn on_chain_end(&self) {
        self.0.add("chain");
    }

    async fn on_tool_end(&self) {
        self.0.add("tool");
    }
}

struct Fails;

#[callback_handler]
impl Fails {
    fn on_tool_end(&self) -> Result<(), BoxError> {
        Err("it failed".into())
    }

    fn on_custom_event(&self) -> Result<(), BoxError> {
        Err("it failed".into())
    }
}

#[test]
fn that_panics_stops_no_run_and_loses_no_error() {
    for place in [Way::In, Way::Out] {
        let (emits, log) = (Arc::new(Emits::default()), Log::new());
        let subscriber = Dispatch::from(emits.clone() as Arc<dyn Subscriber + Send + Sync>);
        let panics = Arc::new(AtomicBool::new(false));
        let armed = panics.clone();
        let act = move |way| {
            let panics = way == place && armed.load(Ordering::SeqCst);
            assert!(!panics, "a subscriber");
        };
        assert!(emits.at_spans.set(Box::new(act)).is_ok());
        let callbacks = Callbacks::new()
            .with(Ends(log.clone()))
            .with(handler(Fails).raise_errors());
        tracing::dispatcher::with_default(&subscriber, || {
            let _span = tracing::info_span!("around");
            block_on(async {
                let chain = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
                let tool = chain.callbacks().tool_start(&TOOL, "").await.unwrap();
                panics.store(true, Ordering::SeqCst);
                let (_, method, error) = raised(tool.end(Value::Null).await);
                panics.store(false, Ordering::SeqCst);
                assert_eq!((method, &*error), ("on_tool_end", "it failed"));
                chain.end(Value::Null).await.unwrap();
            });
        });
        assert_eq!(log.lines(), ["tool", "chain"], "{place:?}");
    }
}

/// Where a span is left, no handler is called any more.
#[test]
fn that_emits_where_a_span_is_left_hears_what_is_raised() {
    let emits = Arc::new(Emits::default());
    let subscriber = Dispatch::from(emits.clone() as Arc<dyn Subscriber + Send + Sync>);
    let callbacks = Callbacks::new().with(Ends(Log::new())).with(Hears);
    let refused = Callbacks::new().with(handler(Fails).raise_errors().inline());
    let (told, results) = mpsc::channel();
    let act = move |way| {
        if way == Way::Out {
            let emitted = refused.custom_event("left", || Value::Null).now_or_never();
            told.send(emitted).unwrap();
        }
    };
    assert!(emits.at_spans.set(Box::new(act)).is_ok());
    tracing::dispatcher::with_default(&subscriber, || {
        let _span = tracing::info_span!("around");
        block_on(async {
            let chain = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
            chain.text("by a plain method").await.unwrap();
            chain.end(Value::Null).await.unwrap();
        });
    });
    let results: Vec<_> = results.try_iter().collect();
    assert!(results.len() >= 2, "{results:?}");
    let is_raised = |result: &Option<_>| matches!(result, Some(Err(EmitError::Raised { .. })));
    assert!(results.iter().all(is_raised), "{results:?}");
}
