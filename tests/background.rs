//! Rule 4: an emission returns when its awaited handlers are done; a background handler's event is
//! queued instead.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use async_trait::async_trait;
use callbacks::events::{AsyncCallbackHandler, ByHand, CallbackHandler, LlmNewToken};
use callbacks::{
    BoxError, Callbacks, LlmResult, OnFull, Queue, Run, callback_events, callback_handler, handler,
};
use callbacks_tests::{LONG, Log, Tokens, start};
use futures_executor::block_on;
use futures_util::FutureExt;
use tokio::sync::{Notify, Semaphore};
use tokio::task::yield_now;

/// Begins with an event only when it is let.
struct Gated {
    log: Log,
    gate: Mutex<mpsc::Receiver<()>>,
}

fn gated() -> (Gated, mpsc::Sender<()>, Log) {
    let ((open, gate), log) = (mpsc::channel(), Log::new());
    let gate = Mutex::new(gate);
    let gated = Gated {
        log: log.clone(),
        gate,
    };
    (gated, open, log)
}

#[callback_handler]
impl Gated {
    fn on_llm_start(&self) {
        self.log.add("start");
    }

    fn on_llm_new_token(&self, token: &str) {
        self.gate.lock().unwrap().recv().unwrap();
        self.log.add(token);
    }

    fn on_llm_end(&self) {
        self.log.add("end");
    }

    fn on_llm_error(&self) {
        self.log.add("error");
    }
}

#[tokio::test]
async fn nobody_waits_for_a_sync_method_in_the_background() {
    let (slow, open, log) = gated();
    let other = Log::new();
    let callbacks = Callbacks::new()
        .with(handler(slow).background(Queue::bounded(8)))
        .with(Tokens {
            log: other.clone(),
            name: "other",
        });
    let run = start(&callbacks).await;
    run.new_token("one").await.unwrap();
    run.new_token("two").await.unwrap();
    run.end(&LlmResult::default()).await.unwrap();
    assert_eq!(other.lines(), ["other one", "other two"]);
    assert!(!log.lines().contains(&"one".to_owned()));
    open.send(()).unwrap();
    open.send(()).unwrap();
    let report = callbacks.flush(LONG).await;
    assert!(report.is_complete());
    assert_eq!(log.lines(), ["start", "one", "two", "end"]);
}

struct Suspends {
    log: Log,
    go: Arc<Semaphore>,
}

#[callback_handler]
impl Suspends {
    async fn on_llm_new_token(&self, token: &str) {
        self.go.acquire().await.unwrap().forget();
        self.log.add(token);
    }
}

#[tokio::test]
async fn nobody_waits_for_an_async_method_in_the_background() {
    let (log, go) = (Log::new(), Arc::new(Semaphore::new(0)));
    let slow = Suspends {
        log: log.clone(),
        go: go.clone(),
    };
    let callbacks = Callbacks::new().with(handler(slow).background(Queue::bounded(8)));
    let run = start(&callbacks).await;
    run.new_token("one").await.unwrap();
    run.new_token("two").await.unwrap();
    assert!(log.lines().is_empty());
    go.add_permits(2);
    assert!(callbacks.flush(LONG).await.is_complete());
    assert_eq!(log.lines(), ["one", "two"]);
    drop(run);
}

/// Sync and async methods of one handler share its queue, so they see the events in order.
struct Mixed(Log);

#[callback_handler]
impl Mixed {
    fn on_llm_start(&self) {
        self.0.add("start");
    }

    async fn on_llm_new_token(&self, token: &str) {
        yield_now().await;
        self.0.add(token);
        yield_now().await;
    }

    fn on_text(&self, text: &str) {
        self.0.add(text);
    }

    async fn on_llm_end(&self) {
        self.0.add("end");
    }
}

async fn events_of_a_mixed_handler_are_in_order() {
    let log = Log::new();
    let mixed = handler(Mixed(log.clone())).background(Queue::bounded(4));
    let callbacks = Callbacks::new().with(mixed);
    let run = start(&callbacks).await;
    let mut expected = vec!["start".to_owned()];
    for count in 0..200 {
        let (token, text) = (format!("token {count}"), format!("text {count}"));
        run.new_token(&token).await.unwrap();
        if count % 3 > 0 {
            run.text(&text).await.unwrap();
        }
        expected.push(token);
        expected.extend((count % 3 > 0).then_some(text));
    }
    run.end(&LlmResult::default()).await.unwrap();
    expected.push("end".to_owned());
    assert!(callbacks.flush(LONG).await.is_complete());
    assert_eq!(log.lines(), expected);
}

#[tokio::test]
async fn a_mixed_handler_sees_the_events_in_order() {
    events_of_a_mixed_handler_are_in_order().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mixed_handler_sees_the_events_in_order_on_several_threads() {
    events_of_a_mixed_handler_are_in_order().await;
}

#[test]
fn a_mixed_handler_needs_no_runtime() {
    block_on(events_of_a_mixed_handler_are_in_order());
}

#[tokio::test]
async fn an_emission_waits_for_room() {
    let (slow, open, log) = gated();
    let callbacks = Callbacks::new().with(handler(slow).background(Queue::bounded(1)));
    let run = start(&callbacks).await;
    run.new_token("one").await.unwrap();
    // The first is under way now, or will be, and the second is the one that waits.
    let mut second = Box::pin(run.new_token("two"));
    while second.as_mut().now_or_never().is_none() {
        yield_now().await;
    }
    let third = run.new_token("three");
    let fourth = run.new_token("four");
    let mut third = Box::pin(third);
    assert!(third.as_mut().now_or_never().is_none(), "there is no room");
    // One that is not waited for any longer is not emitted.
    let mut given_up = Box::pin(fourth);
    assert!(given_up.as_mut().now_or_never().is_none());
    drop(given_up);
    open.send(()).unwrap();
    third.await.unwrap();
    open.send(()).unwrap();
    open.send(()).unwrap();
    assert!(callbacks.flush(LONG).await.is_complete());
    assert_eq!(log.lines(), ["start", "one", "two", "three"]);
}

#[tokio::test]
async fn a_full_queue_drops_the_newest_but_no_start_and_no_terminal_event() {
    let (slow, open, log) = gated();
    let queue = Queue::bounded(1).on_full(OnFull::DropNewest);
    let callbacks = Callbacks::new().with(handler(slow).background(queue).named("slow"));
    let run = start(&callbacks).await;
    run.new_token("0").await.unwrap();
    while !log.lines().contains(&"start".to_owned()) {
        yield_now().await;
    }
    for count in 1..10 {
        run.new_token(&count.to_string()).await.unwrap();
    }
    let child = start(&callbacks).await;
    child.end(&LlmResult::default()).await.unwrap();
    run.end(&LlmResult::default()).await.unwrap();
    let report = callbacks.flush(Duration::ZERO).await;
    let dropped = report.handler("slow").unwrap().dropped;
    // The one that is under way may or may not have left the queue in time.
    assert!((8..=9).contains(&dropped), "{report:?}");
    for _ in dropped..10 {
        open.send(()).unwrap();
    }
    let report = callbacks.flush(LONG).await;
    let slow = report.handler("slow").unwrap();
    assert!(report.is_complete());
    assert_eq!((slow.delivered, slow.dropped), (14 - dropped, dropped));
    let starts = log.lines().iter().filter(|line| *line == "start").count();
    let ends = log.lines().iter().filter(|line| *line == "end").count();
    assert_eq!((starts, ends), (2, 2));
}

#[tokio::test]
async fn a_queue_that_is_full_of_one_run_tree_does_not_hold_up_another() {
    let (slow, open, log) = gated();
    let callbacks = Callbacks::new().with(handler(slow).background(Queue::bounded(1)));
    let (one, other) = (start(&callbacks).await, start(&callbacks).await);
    let mut queued = 0;
    while one.new_token("one").now_or_never().is_some() {
        queued += 1;
        yield_now().await;
    }
    other.new_token("other").now_or_never().unwrap().unwrap();
    for _ in 0..=queued {
        open.send(()).unwrap();
    }
    assert!(callbacks.flush(LONG).await.is_complete());
    let others = log.lines().iter().filter(|line| *line == "other").count();
    assert_eq!(others, 1);
    drop((one, other));
}

#[callback_events]
mod load {
    pub(crate) struct Tick {
        pub(crate) count: u32,
    }
}

struct Counts(Mutex<Vec<u32>>);

#[callback_handler(events = load)]
impl Counts {
    fn on_tick(&self, count: u32) {
        self.0.lock().unwrap().push(count);
    }
}

/// Two handlers with queues that are full, registered in one order and in the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn emissions_that_wait_for_several_queues_do_not_wait_for_each_other() {
    let handlers = [0, 1].map(|_| Arc::new(Counts(Mutex::default())));
    let background = |at: usize| handler(handlers[at].clone()).background(Queue::bounded(1));
    let root = start(&Callbacks::new()).await;
    let one = root.callbacks().with(background(0)).with(background(1));
    let other = root.callbacks().with(background(1)).with(background(0));
    let emit = |callbacks: Callbacks| async move {
        for count in 0..500 {
            callbacks.emit(load::Tick { count }).await.unwrap();
        }
    };
    let tasks = [&one, &one, &other, &other].map(|callbacks| tokio::spawn(emit(callbacks.clone())));
    for task in tasks {
        tokio::time::timeout(LONG, task).await.unwrap().unwrap();
    }
    assert!(one.flush(LONG).await.is_complete());
    assert!(other.flush(LONG).await.is_complete());
    let seen = handlers.map(|handler| handler.0.lock().unwrap().len());
    assert_eq!(seen, [2000, 2000]);
}

/// A handler may be at the address of one that is gone, which had a smaller queue in the same tree.
#[tokio::test]
async fn a_queue_does_not_have_the_bound_of_another_handler() {
    struct Blocks(Mutex<mpsc::Receiver<()>>);

    #[callback_handler(events = load)]
    impl Blocks {
        fn on_tick(&self) {
            // It goes on as soon as the other end is dropped.
            let _ = self.0.lock().unwrap().recv();
        }
    }

    let root = start(&Callbacks::new()).await;
    let listening = |bound| {
        let (open, gate) = mpsc::channel();
        let blocks = Arc::new(Blocks(Mutex::new(gate)));
        let gone = Arc::downgrade(&blocks);
        let queued = handler(blocks).background(Queue::bounded(bound));
        (root.callbacks().with(queued), open, gone)
    };
    // Sooner or later an address comes again; most often, at once.
    for _ in 0..20 {
        for (bound, events) in [(1, 1), (100, 10)] {
            let (callbacks, open, gone) = listening(bound);
            for count in 0..events {
                let emitted = callbacks.emit(load::Tick { count }).now_or_never();
                emitted.expect("there is room").unwrap();
            }
            drop(open);
            assert!(callbacks.flush(LONG).await.is_complete());
            drop(callbacks);
            // A worker may still be on its way out.
            let freed = async {
                while gone.strong_count() > 0 {
                    yield_now().await;
                }
            };
            tokio::time::timeout(LONG, freed).await.unwrap();
        }
    }
}

/// Emitters on several threads, in one run tree: what is queued is in the order of its numbers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queued_events_are_in_the_order_of_their_numbers() {
    struct Numbers(Mutex<Vec<u64>>);

    #[callback_handler(events = load)]
    impl Numbers {
        async fn on_tick(&self, run: &Run<'_>) {
            self.0.lock().unwrap().push(run.seq());
        }
    }

    let numbers = Arc::new(Numbers(Mutex::default()));
    let queued = handler(numbers.clone()).background(Queue::bounded(16));
    let root = start(&Callbacks::new()).await;
    let callbacks = root.callbacks().with(queued);
    let tasks = [(); 4].map(|()| {
        let callbacks = callbacks.clone();
        tokio::spawn(async move {
            for count in 0..500 {
                callbacks.emit(load::Tick { count }).await.unwrap();
            }
        })
    });
    for task in tasks {
        task.await.unwrap();
    }
    assert!(callbacks.flush(LONG).await.is_complete());
    let numbers = numbers.0.lock().unwrap();
    assert_eq!(numbers.len(), 2000);
    assert!(numbers.is_sorted(), "{numbers:?}");
}

/// Implements both traits by hand, so that each event is for two methods.
struct Both(Log);

impl CallbackHandler for Both {
    fn on_llm_new_token(&self, event: &LlmNewToken<'_>, _: &Run<'_>) -> Result<(), BoxError> {
        self.0.add(format_args!("sync {}", event.token));
        Ok(())
    }
}

#[async_trait]
impl AsyncCallbackHandler for Both {
    async fn on_llm_new_token(&self, event: &LlmNewToken<'_>, _: &Run<'_>) -> Result<(), BoxError> {
        self.0.add(format_args!("async {}", event.token));
        Ok(())
    }
}

#[tokio::test]
async fn two_methods_for_an_event_share_a_place_in_the_queue() {
    let log = Log::new();
    let both = handler(ByHand(Both(log.clone()))).background(Queue::bounded(1));
    let callbacks = Callbacks::new().with(both);
    let run = start(&callbacks).await;
    for token in ["one", "two"] {
        run.new_token(token).await.unwrap();
    }
    assert!(callbacks.flush(LONG).await.is_complete());
    let expected = ["sync one", "async one", "sync two", "async two"];
    assert_eq!(log.lines(), expected);
}

/// Fails in every way, by both kinds of methods.
struct Fails;

#[callback_handler]
impl Fails {
    fn on_llm_start(&self) -> Result<(), String> {
        Err("no disk".to_owned())
    }

    async fn on_llm_new_token(&self) -> Result<(), String> {
        Err("no net".to_owned())
    }

    async fn on_text(&self, text: &str) {
        assert!(text.is_empty(), "no");
    }

    fn on_llm_end(&self) {
        panic!("no end");
    }
}

#[tokio::test]
async fn failures_in_the_background_are_counted_and_reach_no_emitter() {
    let fails = handler(Fails).background(Queue::bounded(8)).named("fails");
    let callbacks = Callbacks::new().with(fails.raise_errors());
    let run = start(&callbacks).await;
    run.new_token("token").await.unwrap();
    run.text("").await.unwrap();
    run.text("text").await.unwrap();
    run.end(&LlmResult::default()).await.unwrap();
    let report = callbacks.flush(LONG).await;
    let fails = report.handler("fails").unwrap();
    assert_eq!((fails.delivered, fails.failed, fails.pending), (1, 4, 0));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_ends_an_async_method_in_the_background() {
    let (log, go) = (Log::new(), Arc::new(Semaphore::new(0)));
    let stuck = Suspends {
        log: log.clone(),
        go: go.clone(),
    };
    let stuck = handler(stuck).background(Queue::bounded(8)).named("stuck");
    let callbacks = Callbacks::new().with(stuck.timeout(Duration::from_secs(1)));
    let run = start(&callbacks).await;
    run.new_token("one").await.unwrap();
    run.new_token("two").await.unwrap();
    let report = callbacks.flush(LONG).await;
    let stuck = report.handler("stuck").unwrap();
    assert_eq!((stuck.timed_out, stuck.delivered, stuck.pending), (2, 0, 0));
    assert!(log.lines().is_empty());
}

/// What a runtime had to do in the background when it shut down is done elsewhere.
#[test]
fn the_background_outlives_its_runtime() {
    struct Waits {
        log: Log,
        go: Arc<Notify>,
    }

    #[callback_handler]
    impl Waits {
        async fn on_llm_new_token(&self, token: &str) {
            if token == "one" {
                self.go.notified().await;
            }
            self.log.add(token);
        }

        fn on_llm_end(&self) {
            self.log.add("end");
        }
    }

    let (log, go) = (Log::new(), Arc::new(Notify::new()));
    let waits = Waits {
        log: log.clone(),
        go: go.clone(),
    };
    let callbacks = Callbacks::new().with(handler(waits).background(Queue::bounded(8)));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let run = start(&callbacks).await;
        run.new_token("one").await.unwrap();
        yield_now().await;
        run.new_token("two").await.unwrap();
        run.end(&LlmResult::default()).await.unwrap();
    });
    drop(runtime);
    assert!(log.lines().is_empty());
    go.notify_one();
    let report = block_on(callbacks.flush(LONG));
    assert!(report.is_complete());
    assert_eq!(log.lines(), ["one", "two", "end"]);
}
