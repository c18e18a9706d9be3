//! Rule 5: errors, panics and handlers that take too long. They are logged once, stop nobody, and
//! reach the emitter only where that was asked for.

use std::cell::Cell;
use std::fmt::Write as _;
use std::panic;
use std::pin::pin;
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::task::{Context, Waker};
use std::time::Duration;

use callbacks::events::LlmStart;
use callbacks::{
    BoxError, Callbacks, Chunk, Decision, EmitError, ErrorKind, Event, Interests, LlmResult,
    LlmRun, RunError, Serialized, callback_handler, handler,
};
use callbacks_tests::{Log, Order, Recorder, start};
use futures_util::{StreamExt, poll, stream};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;

static MODEL: Serialized = Serialized::new("Model");
static CHAIN: Serialized = Serialized::new("Chain");

/// Failures, as they are logged.
struct Failures(Log);

impl tracing::Subscriber for Failures {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Line(String);

        impl tracing::field::Visit for Line {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                if ["handler", "method", "run", "error"].contains(&field.name()) {
                    write!(self.0, "{}={value:?} ", field.name()).unwrap();
                }
            }

            fn record_error(
                &mut self,
                field: &tracing::field::Field,
                value: &(dyn std::error::Error + 'static),
            ) {
                write!(self.0, "{}={value} ", field.name()).unwrap();
            }
        }

        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.add(line.0.trim_end());
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// What is logged about a run.
fn failures_of(run: &LlmRun) -> Vec<String> {
    let run = format!("run={} ", run.id());
    let lines = failures().lines().into_iter();
    lines
        .filter(|line| line.contains(&run))
        .map(|line| line.replace(&run, ""))
        .collect()
}

/// Lanes have threads of their own, so the subscriber is that of the process.
fn failures() -> &'static Log {
    static FAILURES: OnceLock<Log> = OnceLock::new();
    FAILURES.get_or_init(|| {
        let log = Log::new();
        tracing::subscriber::set_global_default(Failures(log.clone())).unwrap();
        log
    })
}

struct Failing;

#[callback_handler]
impl Failing {
    fn on_llm_new_token(&self, token: &str) -> Result<(), String> {
        assert!(token != "panic", "oh {token}");
        Err(format!("no {token}"))
    }
}

struct AsyncFailing;

#[callback_handler]
impl AsyncFailing {
    async fn on_llm_new_token(&self, token: &str) -> Result<(), String> {
        tokio::task::yield_now().await;
        assert!(token != "panic", "oh {token}");
        Err(format!("no {token}"))
    }
}

#[tokio::test]
async fn failures_are_logged_once_and_stop_nobody() {
    failures();
    let log = Log::new();
    let callbacks = Callbacks::new()
        .with(handler(Failing).named("lane"))
        .with(handler(Failing).inline().named("inline"))
        .with(handler(AsyncFailing).named("async"))
        .with(Order {
            log: log.clone(),
            name: "other",
        });
    let run = start(&callbacks).await;
    for token in ["error", "panic", "error"] {
        run.new_token(token).await.unwrap();
    }
    assert_eq!(log.lines(), ["other error", "other panic", "other error"]);

    let failures = failures_of(&run);
    for name in ["lane", "inline", "async"] {
        let prefix = format!(r#"handler="{name}" method="on_llm_new_token" error="#);
        let failures: Vec<_> = failures
            .iter()
            .filter_map(|line| line.strip_prefix(&prefix))
            .collect();
        let expected = ["no error", "the handler panicked: oh panic", "no error"];
        assert_eq!(failures, expected, "{name}");
    }
    assert_eq!(failures.len(), 9);
}

/// An error that nobody can show, and a panic that nobody can drop.
#[derive(Debug)]
struct Unspeakable;

impl std::fmt::Display for Unspeakable {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("it does not want to be shown");
    }
}

impl std::error::Error for Unspeakable {}

#[derive(Debug)]
struct Undroppable;

impl Drop for Undroppable {
    fn drop(&mut self) {
        panic!("it does not want to be dropped");
    }
}

struct Hostile;

#[callback_handler]
impl Hostile {
    fn on_llm_new_token(&self, token: &str) -> Result<(), Unspeakable> {
        if token == "panic" {
            std::panic::panic_any(Undroppable);
        }
        Err(Unspeakable)
    }
}

struct AsyncHostile;

#[callback_handler]
impl AsyncHostile {
    async fn on_llm_new_token(&self, token: &str) -> Result<(), Unspeakable> {
        if token == "panic" {
            tokio::task::yield_now().await;
            std::panic::panic_any(Undroppable);
        }
        Err(Unspeakable)
    }
}

#[tokio::test]
async fn not_even_a_hostile_failure_stops_anybody() {
    failures();
    let log = Log::new();
    let name = "other";
    let callbacks = Callbacks::new()
        .with(handler(Hostile).inline())
        .with(Hostile)
        .with(AsyncHostile)
        .with(Order {
            log: log.clone(),
            name,
        });
    let run = start(&callbacks).await;
    for token in ["error", "panic"] {
        run.new_token(token).await.unwrap();
    }
    assert_eq!(log.lines(), ["other error", "other panic"]);
}

#[tokio::test]
async fn options_add_up() {
    failures();
    let inner = handler(Failing).named("inner");
    let run = start(&Callbacks::new().with(handler(inner).inline())).await;
    let mut emission = Box::pin(run.new_token("error"));
    let polled = emission
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_ready(), "inline");
    drop(emission);
    let failures = failures_of(&run);
    assert_eq!(
        failures,
        [r#"handler="inner" method="on_llm_new_token" error=no error"#]
    );
}

// Raised errors.

/// What was raised: the handler, its method, the error.
fn raised(result: Result<(), EmitError>) -> (String, &'static str, String) {
    match result {
        Err(EmitError::Raised {
            handler,
            event,
            source,
        }) => (handler, event, source.to_string()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn raised_errors_reach_the_emitter_however_the_handler_is_called() {
    failures();
    let log = Log::new();
    let name = "other";
    let other = Arc::new(Order {
        log: log.clone(),
        name,
    });
    let base = Callbacks::new().with(other);
    let all = [
        base.with(handler(Failing).raise_errors().named("mine")),
        base.with(handler(Failing).raise_errors().named("mine").inline()),
        base.with(handler(AsyncFailing).raise_errors().named("mine")),
    ];
    for callbacks in all {
        let run = start(&callbacks).await;
        for (token, error) in [
            ("error", "no error"),
            ("panic", "the handler panicked: oh panic"),
        ] {
            let mine = ("mine".to_owned(), "on_llm_new_token", error.to_owned());
            assert_eq!(raised(run.new_token(token).await), mine);
        }
        assert_eq!(log.take(), ["other error", "other panic"]);
        assert_eq!(failures_of(&run).len(), 2, "logged as well");
    }
}

#[tokio::test]
async fn the_first_in_registration_order_is_raised_after_all_are_done() {
    struct Slow(Log);

    #[callback_handler]
    impl Slow {
        async fn on_llm_new_token(&self) {
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            self.0.add("slow");
        }
    }

    let log = Log::new();
    let callbacks = Callbacks::new()
        .with(handler(Failing).named("quiet").inline())
        .with(handler(AsyncFailing).named("async").raise_errors())
        .with(handler(Failing).named("lane").raise_errors())
        .with(handler(Failing).named("inline").raise_errors().inline())
        .with(Slow(log.clone()));
    let run = start(&callbacks).await;
    for _ in 0..20 {
        let (handler, ..) = raised(run.new_token("error").await);
        assert_eq!(handler, "async");
        assert_eq!(log.take(), ["slow"]);
    }
}

/// Fails in whatever it is called for.
struct Never;

#[callback_handler]
impl Never {
    fn on_llm_start(&self) -> Result<(), String> {
        Err("no start".to_owned())
    }

    async fn on_llm_end(&self) -> Result<(), String> {
        Err("no end".to_owned())
    }

    fn on_tool_error(&self) -> Result<(), String> {
        Err("no error".to_owned())
    }
}

#[tokio::test]
async fn an_error_out_of_a_start_has_closed_the_run() {
    let (recorder, log) = (Recorder::default(), Log::new());
    let events = recorder.0.clone();
    struct Errors(Log);

    #[callback_handler]
    impl Errors {
        fn on_llm_error(&self, error: &RunError) {
            assert_eq!(error.kind, ErrorKind::Failed);
            self.0.add(format_args!("{error} {:?}", error.sources));
        }
    }

    let callbacks = Callbacks::new()
        .with(recorder)
        .with(handler(Never).raise_errors().named("never"))
        .with(Errors(log.clone()));
    let started = callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]);
    let started = started.await.map(drop);
    let never = ("never".to_owned(), "on_llm_start", "no start".to_owned());
    assert_eq!(raised(started), never);
    let expected = [
        r#"Model: llm start ["Why?"]"#,
        "Model: llm error Failed None",
    ];
    assert_eq!(events.lines(), expected);
    let message = r#"the callback handler `never` failed in `on_llm_start` ["no start"]"#;
    assert_eq!(log.lines(), [message]);
}

#[tokio::test]
async fn an_error_out_of_an_end_comes_after_its_delivery() {
    let recorder = Recorder::default();
    let log = recorder.0.clone();
    let never = handler(Never)
        .raise_errors()
        .except(Interests::of(&[LlmStart::INDEX]));
    let callbacks = Callbacks::new().with(recorder).with(never);
    let root = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
    let run = root
        .callbacks()
        .llm_start(&MODEL, Vec::new())
        .await
        .unwrap();
    // abandoned, where nobody is there to raise it to
    let _tool = root.callbacks().tool_start(None, "").await.unwrap();
    log.take();
    let (_, event, error) = raised(run.end(LlmResult::from_text("done")).await);
    assert_eq!((event, &*error), ("on_llm_end", "no end"));
    assert_eq!(log.take(), [r#"Model: llm end "done" None"#]);
    root.end(Value::Null).await.unwrap();
    assert_eq!(log.lines().len(), 2);
}

// Handlers that take too long.

/// Waits for ever in its methods, and tells when it is dropped there.
struct Stall(Log);

#[callback_handler]
impl Stall {
    async fn on_llm_new_token(&self) {
        struct Left(Log);

        impl Drop for Left {
            fn drop(&mut self) {
                self.0.add("left");
            }
        }

        let _left = Left(self.0.clone());
        std::future::pending::<()>().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_async_method_that_takes_too_long_is_dropped() {
    failures();
    let (left, log) = (Log::new(), Log::new());
    let stall = handler(Stall(left.clone())).named("stall");
    let name = "other";
    let callbacks = Callbacks::new()
        .with(stall.timeout(Duration::from_secs(2)).raise_errors())
        .with(handler(Stall(left.clone())).timeout(Duration::ZERO))
        .with(Order {
            log: log.clone(),
            name,
        });
    let run = start(&callbacks).await;
    let before = Instant::now();
    let (handler, _, error) = raised(run.new_token("t").await);
    assert_eq!(before.elapsed(), Duration::from_secs(2));
    assert_eq!(
        (&*handler, &*error),
        ("stall", "the handler took longer than 2s")
    );
    assert_eq!(left.lines(), ["left", "left"]);
    assert_eq!(log.lines(), ["other t"]);
    let failures = failures_of(&run);
    assert!(
        failures
            .iter()
            .any(|line| line.ends_with("longer than 0ns")),
        "{failures:?}"
    );
    assert_eq!(failures.len(), 2);
}

/// The emission goes on; the handler does too, and what is queued behind it waits for it.
#[tokio::test]
async fn a_sync_method_that_takes_too_long_keeps_its_lane() {
    struct Stuck {
        leave: Mutex<mpsc::Receiver<()>>,
        log: Log,
    }

    #[callback_handler]
    impl Stuck {
        fn on_llm_new_token(&self, token: &str) {
            if token == "one" {
                self.leave.lock().unwrap().recv().unwrap();
            }
            self.log.add(token);
        }
    }

    let ((free, leave), log) = (mpsc::channel(), Log::new());
    let stuck = Stuck {
        leave: Mutex::new(leave),
        log: log.clone(),
    };
    let stuck = handler(stuck).timeout(Duration::from_millis(1));
    let run = start(&Callbacks::new().with(stuck.raise_errors())).await;
    let (_, _, error) = raised(run.new_token("one").await);
    assert_eq!(error, "the handler took longer than 1ms");
    let (_, _, error) = raised(run.new_token("two").await);
    assert_eq!(error, "the handler took longer than 1ms");
    assert!(log.lines().is_empty());
    free.send(()).unwrap();
    while log.lines().len() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(log.lines(), ["one", "two"]);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_that_is_not_reached_is_nothing() {
    struct Yields;

    #[callback_handler]
    impl Yields {
        async fn on_llm_new_token(&self) {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    failures();
    for timeout in [Duration::from_secs(2), Duration::MAX] {
        let yields = handler(Yields).timeout(timeout).raise_errors();
        let run = start(&Callbacks::new().with(yields)).await;
        run.new_token("t").await.unwrap();
        assert!(failures_of(&run).is_empty());
    }
}

#[test]
fn a_timeout_needs_no_runtime() {
    let stall = handler(Stall(Log::new())).timeout(Duration::from_millis(1));
    let callbacks = Callbacks::new().with(stall.raise_errors());
    let error = futures_executor::block_on(async {
        let run = start(&callbacks).await;
        raised(run.new_token("t").await).2
    });
    assert_eq!(error, "the handler took longer than 1ms");
}

/// What a closing waits for is bounded too.
#[tokio::test(start_paused = true)]
async fn a_terminal_event_waits_no_longer_than_the_timeout() {
    struct Hangs(Notify);

    #[callback_handler]
    impl Hangs {
        async fn on_llm_end(&self) {
            self.0.notified().await;
        }
    }

    let hangs = handler(Hangs(Notify::new())).timeout(Duration::from_secs(5));
    let run = start(&Callbacks::new().with(hangs.raise_errors())).await;
    let before = Instant::now();
    let (_, event, error) = raised(run.end(LlmResult::default()).await);
    assert_eq!(before.elapsed(), Duration::from_secs(5));
    assert_eq!(event, "on_llm_end");
    assert_eq!(error, "the handler took longer than 5s");
}

/// The runtime goes down while a handler waits, with its timer; both go on elsewhere.
#[test]
fn a_timer_outlives_its_runtime() {
    struct Waits {
        open: Arc<Notify>,
        log: Log,
    }

    #[callback_handler]
    impl Waits {
        async fn on_chain_start(&self) {
            self.log.add("start");
        }

        async fn on_chain_error(&self) {
            self.log.add("entered");
            self.open.notified().await;
            self.log.add("left");
        }
    }

    let (open, log) = (Arc::new(Notify::new()), Log::new());
    let waits = Waits {
        open: open.clone(),
        log: log.clone(),
    };
    let waits = Arc::new(waits);
    let gone = Arc::downgrade(&waits);
    let waits = handler(waits).timeout(Duration::from_secs(60));
    let callbacks = Callbacks::new().with(waits);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    runtime.block_on(async {
        drop(callbacks.chain_start(&CHAIN, Value::Null).await.unwrap());
        while log.lines().len() < 2 {
            tokio::task::yield_now().await;
        }
    });
    drop((runtime, callbacks));
    open.notify_one();
    while gone.strong_count() > 0 {
        std::thread::yield_now();
    }
    assert_eq!(log.lines(), ["start", "entered", "left"]);
}

#[test]
fn a_timeout_needs_no_timers() {
    struct Stuck(Mutex<mpsc::Receiver<()>>);

    #[callback_handler]
    impl Stuck {
        fn on_llm_new_token(&self) {
            self.0.lock().unwrap().recv().unwrap();
        }
    }

    let (free, stuck) = mpsc::channel();
    let stuck = handler(Stuck(Mutex::new(stuck))).timeout(Duration::from_millis(1));
    let callbacks = Callbacks::new().with(stuck.raise_errors());
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let error = runtime.unwrap().block_on(async {
        let run = start(&callbacks).await;
        raised(run.new_token("t").await).2
    });
    assert_eq!(error, "the handler took longer than 1ms");
    free.send(()).unwrap();
}

/// Tokio tells that there are no timers by a panic alone, of which a hook hears. It does once.
#[test]
fn that_there_are_no_timers_is_found_out_once() {
    thread_local! {
        static PANICS: Cell<usize> = const { Cell::new(0) };
    }

    struct Stuck;

    #[callback_handler]
    impl Stuck {
        async fn on_llm_new_token(&self) {
            std::future::pending::<()>().await;
        }
    }

    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        PANICS.set(PANICS.get() + 1);
        before(info);
    }));
    let stuck = handler(Stuck).timeout(Duration::from_millis(1));
    let callbacks = Callbacks::new().with(stuck.raise_errors());
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(async {
        let run = start(&callbacks).await;
        for _ in 0..3 {
            let error = raised(run.new_token("t").await).2;
            assert_eq!(error, "the handler took longer than 1ms");
        }
    });
    assert_eq!(PANICS.get(), 1);
}

/// It spends all that its task may spend before it has to yield.
#[tokio::test]
async fn a_timeout_holds_for_a_handler_that_is_never_idle() {
    struct Greedy;

    #[callback_handler]
    impl Greedy {
        async fn on_llm_new_token(&self) {
            loop {
                tokio::task::consume_budget().await;
            }
        }
    }

    let greedy = handler(Greedy).timeout(Duration::from_millis(1));
    let run = start(&Callbacks::new().with(greedy.raise_errors())).await;
    let (_, _, error) = raised(run.new_token("t").await);
    assert_eq!(error, "the handler took longer than 1ms");
}

#[derive(Debug)]
struct Heavy {
    _left: Undroppable,
}

impl std::fmt::Display for Heavy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("heavy")
    }
}

impl std::error::Error for Heavy {}

/// Fails where a run ends with an error, and so that nobody can drop it.
struct Undying;

#[callback_handler]
impl Undying {
    fn on_llm_error(&self) -> Result<(), Heavy> {
        Err(Heavy { _left: Undroppable })
    }

    fn on_tool_error(&self) -> Result<(), Heavy> {
        Err(Heavy { _left: Undroppable })
    }
}

/// What a method that is dropped leaves behind, what a failure that is not raised leaves behind, and
/// what is raised out of a start are all of the user's making.
#[tokio::test(start_paused = true)]
async fn hostile_values_do_not_reach_the_emitter() {
    struct Leaves;

    #[callback_handler]
    impl Leaves {
        async fn on_llm_new_token(&self) {
            let _left = Undroppable;
            std::future::pending::<()>().await;
        }

        async fn on_llm_end(&self) {
            let _left = Undroppable;
            std::future::pending::<()>().await;
        }
    }

    struct Fails;

    #[callback_handler]
    impl Fails {
        fn on_text(&self) -> Result<(), Heavy> {
            Err(Heavy { _left: Undroppable })
        }

        fn on_chain_start(&self) -> Result<(), Unspeakable> {
            Err(Unspeakable)
        }
    }

    struct First;

    #[callback_handler]
    impl First {
        fn on_text(&self) -> Result<(), &'static str> {
            Err("first")
        }
    }

    failures();
    let leaves = handler(Leaves).timeout(Duration::from_secs(1));
    let callbacks = Callbacks::new()
        .with(leaves.raise_errors())
        .with(handler(First).raise_errors())
        .with(handler(Fails).raise_errors());
    let run = start(&callbacks).await;
    assert_eq!(raised(run.new_token("t").await).1, "on_llm_new_token");
    assert_eq!(raised(run.text("t").await).2, "first");
    assert_eq!(raised(run.end(LlmResult::default()).await).1, "on_llm_end");
    let start = callbacks.chain_start(&CHAIN, Value::Null).await;
    assert!(matches!(start, Err(EmitError::Raised { .. })));
}

/// What the error of a start, an answer, or a stopped run raises where the run closes with it is the lesser
/// evil, and goes; whatever it does then, the emitter gets the first.
#[tokio::test]
async fn a_hostile_lesser_evil_does_not_reach_the_emitter() {
    struct Stops;

    #[callback_handler]
    impl Stops {
        fn on_tool_request(&self) -> Decision<String, Value> {
            Decision::Stop("no".to_owned())
        }

        fn on_llm_new_token(&self) -> Result<(), &'static str> {
            Err("no token")
        }
    }

    failures();
    let callbacks = Callbacks::new()
        .with(handler(Never).raise_errors().named("never"))
        .with(handler(Undying).raise_errors());
    let started = callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]);
    assert_eq!(raised(started.await.map(drop)).2, "no start");
    let callbacks = Callbacks::new()
        .with(handler(Stops).raise_errors())
        .with(handler(Undying).raise_errors());
    let stopped = callbacks.tool_start(&CHAIN, "").await.map(drop);
    assert!(matches!(stopped, Err(EmitError::Stopped { reason }) if reason == "no"));
    let run = start(&callbacks).await;
    let items = stream::iter(["Be", "cause"].map(Ok::<_, BoxError>));
    let mut items = run.stream(items, |item: &&str| Chunk::text(*item)).raise();
    let error = items.next().await.unwrap().unwrap_err();
    let refused = error.downcast::<EmitError>().unwrap();
    assert_eq!(raised(Err(*refused)).2, "no token");
}

/// The child's end raises what nobody waits for any more, and the parent is the last to hold it.
#[tokio::test]
async fn what_a_child_raises_does_not_keep_its_parent_open() {
    struct Slow(Arc<Notify>, Log);

    #[callback_handler]
    impl Slow {
        async fn on_tool_error(&self) -> Result<(), Heavy> {
            self.0.notified().await;
            self.1.add("tool error");
            Err(Heavy { _left: Undroppable })
        }

        async fn on_chain_end(&self) {
            self.1.add("chain end");
        }
    }

    failures();
    let (go, log) = (Arc::new(Notify::new()), Log::new());
    let slow = Slow(go.clone(), log.clone());
    let callbacks = Callbacks::new().with(handler(slow).raise_errors());
    let chain = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
    let tool = chain.callbacks().tool_start(&CHAIN, "").await.unwrap();
    drop(tool);
    let mut end = pin!(chain.end(Value::Null));
    assert!(poll!(end.as_mut()).is_pending());
    go.notify_one();
    // A task brings the child's end on, and then lets go of it.
    while log.lines().is_empty() {
        tokio::task::yield_now().await;
    }
    end.await.unwrap();
    assert_eq!(log.lines(), ["tool error", "chain end"]);
}
