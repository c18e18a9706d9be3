//! Rules 1 to 4 of delivery: who is called, where, and in which order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};

use callbacks::events::{AnyEvent, Events, LlmEnd, LlmNewToken};
use callbacks::{
    BoxFuture, Callbacks, Deliver, Event, Handler, Interests, LlmResult, Message, Outcome,
    Registered, Run, Serialized, callback_events, callback_handler, handler,
};
use callbacks_tests::{Log, Order, start};
use tokio::sync::{Barrier, Notify};

const MODEL: Serialized = Serialized::new("Model");

// Rule 1: nobody listening costs nothing.

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

// Rule 2: where a method runs.

#[derive(Default)]
struct Where {
    plain: Mutex<Vec<(ThreadId, Option<String>)>>,
    futures: Mutex<Vec<(ThreadId, Option<tokio::task::Id>)>>,
}

#[callback_handler]
impl Where {
    fn on_llm_new_token(&self) {
        let thread = thread::current();
        let called = (thread.id(), thread.name().map(str::to_owned));
        self.plain.lock().unwrap().push(called);
    }

    async fn on_llm_end(&self) {
        tokio::task::yield_now().await;
        let called = (thread::current().id(), tokio::task::try_id());
        self.futures.lock().unwrap().push(called);
    }
}

#[tokio::test]
async fn sync_methods_run_away_from_the_event_loop_and_async_ones_on_the_emitters_task() {
    let calls = Arc::new(Where::default());
    let callbacks = Callbacks::new().with(calls.clone());
    let task = tokio::spawn(async move {
        let run = start(&callbacks).await;
        run.new_token("token").await.unwrap();
        run.end(&LlmResult::from_text("token")).await.unwrap();
        tokio::task::id()
    });
    let task = task.await.unwrap();

    let here = thread::current().id();
    let plain = calls.plain.lock().unwrap();
    let [(thread, name)] = &plain[..] else {
        panic!("{plain:?}");
    };
    assert_ne!(*thread, here);
    assert_eq!(name.as_deref(), Some("callbacks-lane"));
    assert_eq!(*calls.futures.lock().unwrap(), [(here, Some(task))]);
}

#[tokio::test]
async fn inline_methods_run_where_the_event_is_emitted() {
    let calls = Arc::new(Where::default());
    let callbacks = Callbacks::new().with(handler(calls.clone()).inline());
    let run = start(&callbacks).await;
    run.new_token("token").await.unwrap();
    assert_eq!(calls.plain.lock().unwrap()[0].0, thread::current().id());
}

#[tokio::test]
async fn a_method_on_a_lane_finds_the_emitters_runtime() {
    struct Spawner(Mutex<Option<tokio::task::JoinHandle<u32>>>);

    #[callback_handler]
    impl Spawner {
        fn on_llm_new_token(&self) {
            *self.0.lock().unwrap() = Some(tokio::spawn(async { 7 }));
        }
    }

    let spawner = Arc::new(Spawner(Mutex::new(None)));
    let run = start(&Callbacks::new().with(spawner.clone())).await;
    run.new_token("token").await.unwrap();
    let task = spawner.0.lock().unwrap().take().unwrap();
    assert_eq!(task.await.unwrap(), 7);
}

#[test]
fn no_runtime_is_needed() {
    let log = Log::new();
    let callbacks = Callbacks::new().with(Order {
        log: log.clone(),
        name: "lane",
    });
    futures_executor::block_on(async {
        let run = start(&callbacks).await;
        run.new_token("a").await.unwrap();
        run.new_token("b").await.unwrap();
        run.end(&LlmResult::from_text("ab")).await.unwrap();
    });
    assert_eq!(log.lines(), ["lane a", "lane b"]);
}

// Rule 3: order.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_keeps_the_order() {
    let log = Log::new();
    let name = "lane";
    let callbacks = Callbacks::new().with(Order {
        log: log.clone(),
        name,
    });
    let run = start(&callbacks).await;
    for token in 0..500 {
        run.new_token(&token.to_string()).await.unwrap();
    }
    let expected: Vec<String> = (0..500).map(|token| format!("lane {token}")).collect();
    assert_eq!(log.lines(), expected);
}

/// Everything in a lane comes in the order of the numbers, whoever emitted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_is_in_the_order_of_seq_even_if_emissions_overlap() {
    #[derive(Default)]
    struct Numbers(Mutex<Vec<u64>>);

    #[callback_handler]
    impl Numbers {
        fn on_llm_new_token(&self, run: &Run<'_>) {
            self.0.lock().unwrap().push(run.seq());
        }
    }

    struct Inline;

    #[callback_handler]
    impl Inline {
        fn on_llm_new_token(&self) {
            thread::yield_now();
        }
    }

    let numbers = Arc::new(Numbers::default());
    let callbacks = Callbacks::new()
        .with(numbers.clone())
        .with(handler(Inline).inline());
    let run = Arc::new(start(&callbacks).await);
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let run = run.clone();
            tokio::spawn(async move {
                for _ in 0..200 {
                    run.new_token("token").await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let numbers = numbers.0.lock().unwrap();
    assert_eq!(numbers.len(), 1600);
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
}

#[tokio::test]
async fn inline_handlers_come_first_in_registration_order() {
    struct Future(Log);

    #[callback_handler]
    impl Future {
        async fn on_llm_new_token(&self) {
            self.0.add("future");
        }
    }

    for _ in 0..100 {
        let log = Log::new();
        let order = |name| Order {
            log: log.clone(),
            name,
        };
        let callbacks = Callbacks::new()
            .with(Future(log.clone()))
            .with(order("lane"))
            .with(handler(order("one")).inline())
            .with(handler(order("two")).inline());
        let run = start(&callbacks).await;
        run.new_token("t").await.unwrap();
        let lines = log.lines();
        assert_eq!(lines[..2], ["one t", "two t"]);
        assert_eq!(lines.len(), 4);
    }
}

/// Also where a worker is at the lane already, and would take the event at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_that_is_running_waits_for_the_inline_handlers() {
    struct Lane {
        log: Log,
        entered: mpsc::Sender<()>,
        leave: Mutex<mpsc::Receiver<()>>,
    }

    #[callback_handler]
    impl Lane {
        fn on_llm_new_token(&self, token: &str) {
            if token == "a" {
                self.entered.send(()).unwrap();
                self.leave.lock().unwrap().recv().unwrap();
            }
            self.log.add(format_args!("lane {token}"));
        }
    }

    struct Inline {
        log: Log,
        leave: mpsc::Sender<()>,
    }

    #[callback_handler]
    impl Inline {
        fn on_llm_new_token(&self, token: &str) {
            if token == "b" {
                self.leave.send(()).unwrap();
                while self.log.lines().last().is_none_or(|line| line != "lane a") {
                    thread::yield_now();
                }
                // time for the worker to do the wrong thing
                (0..100).for_each(|_| thread::yield_now());
            }
            self.log.add(format_args!("inline {token}"));
        }
    }

    for _ in 0..20 {
        let ((entered, inside), (leave, wait)) = (mpsc::channel(), mpsc::channel());
        let log = Log::new();
        let lane = Lane {
            log: log.clone(),
            entered,
            leave: Mutex::new(wait),
        };
        let inline = Inline {
            log: log.clone(),
            leave,
        };
        let callbacks = Callbacks::new().with(lane).with(handler(inline).inline());
        let run = Arc::new(start(&callbacks).await);
        let first = tokio::spawn({
            let run = run.clone();
            async move { run.new_token("a").await }
        });
        tokio::task::spawn_blocking(move || inside.recv())
            .await
            .unwrap()
            .unwrap();
        run.new_token("b").await.unwrap();
        first.await.unwrap().unwrap();
        assert_eq!(log.lines(), ["inline a", "lane a", "inline b", "lane b"]);
    }
}

#[tokio::test]
async fn async_methods_are_polled_once_in_registration_order_before_any_is_waited_for() {
    struct Gate {
        log: Log,
        name: u32,
        open: Arc<Notify>,
    }

    #[callback_handler]
    impl Gate {
        async fn on_llm_new_token(&self) {
            self.log.add(format_args!("{} entered", self.name));
            self.open.notified().await;
            self.log.add(format_args!("{} left", self.name));
        }
    }

    let (log, open) = (Log::new(), Arc::new(Notify::new()));
    let mut callbacks = Callbacks::new();
    for name in 0..3 {
        let (log, open) = (log.clone(), open.clone());
        callbacks = callbacks.with(Gate { log, name, open });
    }
    let run = start(&callbacks).await;
    let mut emission = Box::pin(run.new_token("token"));
    let first = emission
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(first.is_pending());
    assert_eq!(log.take(), ["0 entered", "1 entered", "2 entered"]);
    open.notify_waiters();
    emission.await.unwrap();
    assert_eq!(log.take(), ["0 left", "1 left", "2 left"]);
}

/// If one were awaited after the other, the first would wait for ever.
#[tokio::test]
async fn async_methods_run_at_the_same_time() {
    struct Meet(Arc<Barrier>);

    #[callback_handler]
    impl Meet {
        async fn on_llm_new_token(&self) {
            self.0.wait().await;
        }
    }

    for count in [8, 64] {
        let barrier = Arc::new(Barrier::new(count));
        let mut callbacks = Callbacks::new();
        for _ in 0..count {
            callbacks = callbacks.with(Meet(barrier.clone()));
        }
        start(&callbacks).await.new_token("token").await.unwrap();
    }
}

/// Sync methods of one emission run at the same time too, each on its lane.
#[tokio::test]
async fn lanes_run_at_the_same_time() {
    struct Meet(Arc<std::sync::Barrier>);

    #[callback_handler]
    impl Meet {
        fn on_llm_new_token(&self) {
            self.0.wait();
        }
    }

    let barrier = Arc::new(std::sync::Barrier::new(4));
    let mut callbacks = Callbacks::new();
    for _ in 0..4 {
        callbacks = callbacks.with(Meet(barrier.clone()));
    }
    start(&callbacks).await.new_token("token").await.unwrap();
}

/// A handler that is stuck in one run tree is called for others.
#[tokio::test]
async fn run_trees_do_not_wait_for_each_other() {
    struct Stuck {
        entered: mpsc::Sender<()>,
        leave: Mutex<mpsc::Receiver<()>>,
        log: Log,
    }

    #[callback_handler]
    impl Stuck {
        fn on_llm_new_token(&self, token: &str) {
            if token == "wait" {
                self.entered.send(()).unwrap();
                self.leave.lock().unwrap().recv().unwrap();
            }
            self.log.add(token);
        }
    }

    let ((entered, stuck), (free, leave)) = (mpsc::channel(), mpsc::channel());
    let (log, leave) = (Log::new(), Mutex::new(leave));
    let callbacks = Callbacks::new().with(Stuck {
        entered,
        leave,
        log: log.clone(),
    });
    let one = start(&callbacks).await;
    let other = start(&callbacks).await;
    let waiting = tokio::spawn(async move { one.new_token("wait").await });
    tokio::task::yield_now().await;
    stuck.recv().unwrap();
    other.new_token("go").await.unwrap();
    assert_eq!(log.lines(), ["go"]);
    free.send(()).unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(log.lines(), ["go", "wait"]);
}

/// An emission that is dropped has reached its handlers all the same.
#[tokio::test]
async fn what_is_queued_is_called_even_if_the_emission_is_dropped() {
    let (call, called) = mpsc::channel();

    struct Tell(Mutex<mpsc::Sender<String>>);

    #[callback_handler]
    impl Tell {
        fn on_llm_new_token(&self, token: &str) {
            self.0.lock().unwrap().send(token.to_owned()).unwrap();
        }
    }

    let run = start(&Callbacks::new().with(Tell(Mutex::new(call)))).await;
    let mut emission = Box::pin(run.new_token("token"));
    let polled = emission
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Pending | Poll::Ready(Ok(()))));
    drop(emission);
    assert_eq!(called.recv().unwrap(), "token");
}

// Handlers of any number of sets, each once.

#[callback_events]
mod door {
    pub(super) struct Opened<'a> {
        pub(super) by: &'a str,
    }
}

#[tokio::test]
async fn one_value_holds_handlers_of_several_sets() {
    struct Porter(Log);

    #[callback_handler(events = door)]
    impl Porter {
        fn on_opened(&self, by: &str, run: &Run<'_>) {
            self.0
                .add(format_args!("opened by {by} in {:?}", run.name()));
        }
    }

    let log = Log::new();
    let callbacks = Callbacks::new()
        .with(Order {
            log: log.clone(),
            name: "token",
        })
        .with(Porter(log.clone()));
    assert!(callbacks.wants::<door::Opened<'_>>());
    let run = start(&callbacks).await;
    run.new_token("t").await.unwrap();
    run.emit(door::Opened { by: "me" }).await.unwrap();
    callbacks.emit(door::Opened { by: "you" }).await.unwrap();
    assert_eq!(
        log.lines(),
        [
            "token t",
            r#"opened by me in "Model""#,
            r#"opened by you in """#
        ]
    );
}

#[tokio::test]
async fn the_same_handler_registered_twice_is_called_once() {
    let log = Log::new();
    let same = Arc::new(Order {
        log: log.clone(),
        name: "same",
    });
    let callbacks = Callbacks::new()
        .with(same.clone())
        .with(same.clone())
        .with(handler(same).inline())
        .with(Order {
            log: log.clone(),
            name: "equal",
        })
        .with(Order {
            log: log.clone(),
            name: "equal",
        });
    let run = start(&callbacks).await;
    run.new_token("t").await.unwrap();
    let mut lines = log.lines();
    lines.sort();
    assert_eq!(lines, ["equal t", "equal t", "same t"]);
}

// What is left behind.

/// Counts how many of it there are, and takes its time to go.
#[derive(Debug)]
struct Heavy(Arc<AtomicUsize>);

impl Heavy {
    fn new(alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::SeqCst);
        Self(alive.clone())
    }
}

impl Clone for Heavy {
    fn clone(&self) -> Self {
        Self::new(&self.0)
    }
}

impl Drop for Heavy {
    fn drop(&mut self) {
        (0..50).for_each(|_| thread::yield_now());
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[callback_events]
mod gym {
    pub(super) struct Lifted<'a> {
        pub(super) weight: &'a super::Heavy,
    }
}

/// When an emission has returned, no worker holds on to its handler or its event any more.
#[tokio::test]
async fn what_was_awaited_is_let_go() {
    struct Lifter {
        _own: Heavy,
    }

    #[callback_handler(events = gym)]
    impl Lifter {
        fn on_lifted(&self) {}
    }

    let alive = Arc::new(AtomicUsize::new(0));
    let weight = Heavy::new(&alive);
    for _ in 0..20 {
        let lifter = Lifter {
            _own: Heavy::new(&alive),
        };
        let callbacks = Callbacks::new().with(lifter);
        let event = gym::Lifted { weight: &weight };
        callbacks.emit(event).await.unwrap();
        drop(callbacks);
        assert_eq!(alive.load(Ordering::SeqCst), 1);
    }
}

/// A handler can be dropped by a worker, with the last event that it is called for.
#[tokio::test]
async fn a_handler_that_panics_when_dropped_on_a_lane_takes_nothing_with_it() {
    struct Bomb(mpsc::Receiver<()>);

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }

    struct Slow(Mutex<Bomb>, mpsc::Sender<()>);

    #[callback_handler]
    impl Slow {
        fn on_llm_new_token(&self) {
            self.1.send(()).unwrap();
            let _ = self.0.lock().unwrap().0.recv();
        }
    }

    // as often as there are workers at most
    for _ in 0..64 {
        let ((go, wait), (entered, inside)) = (mpsc::channel(), mpsc::channel());
        let callbacks = Callbacks::new().with(Slow(Mutex::new(Bomb(wait)), entered));
        let run = start(&callbacks).await;
        let mut emission = Box::pin(run.new_token("token"));
        let polled = emission
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        inside.recv().unwrap();
        drop(emission);
        drop((run, callbacks));
        go.send(()).unwrap();
    }

    let log = Log::new();
    let name = "next";
    let callbacks = Callbacks::new().with(Order {
        log: log.clone(),
        name,
    });
    start(&callbacks).await.new_token("t").await.unwrap();
    assert_eq!(log.lines(), ["next t"]);
}
