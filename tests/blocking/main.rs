//! The blocking flavour: sync methods on the caller's thread, async ones driven to their end, wherever
//! the thread is: without a runtime, or within one of either kind, on its own threads or beside them.

mod lanes;
mod others;
mod places;

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

use callbacks::events::{LlmEnd, LlmNewToken};
use callbacks::testing::{Faulty, Recorder as Records, assert_events};
use callbacks::{
    Asked, BlockingCallbacks, Callbacks, Decision, EmitError, Exclusive, LlmResult, OnFull, Queue,
    RunError, Serialized, callback_handler, handler,
};
use callbacks_tests::{Log, prompts, recorder};
use serde_json::{Value, json};
use shop::trade::{Refund, Sold};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, OnceCell, oneshot};
use tokio::task::spawn_blocking;

static MODEL: Serialized = Serialized::new("Model");
static TOOL: Serialized = Serialized::new("Tool");
static CHAIN: Serialized = Serialized::new("Chain");

const LONG: Duration = Duration::from_secs(20);

type ToolDecision = Decision<String, Value>;

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn multi_thread(workers: usize) -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder
        .worker_threads(workers)
        .enable_all()
        .build()
        .unwrap()
}

/// Does it in all places.
fn everywhere(does: fn(&str)) {
    does("no runtime");
    current_thread().block_on(async {
        does("a current-thread runtime");
        tokio::spawn(async move { does("a task of a current-thread runtime") })
            .await
            .unwrap();
        spawn_blocking(move || does("beside a current-thread runtime"))
            .await
            .unwrap();
    });
    multi_thread(1).block_on(async {
        does("a multi-thread runtime");
        tokio::spawn(async move { does("a worker") }).await.unwrap();
        spawn_blocking(move || does("beside a multi-thread runtime"))
            .await
            .unwrap();
    });
}

fn call(callbacks: &BlockingCallbacks) -> Result<(), EmitError> {
    let run = callbacks.llm_start(&MODEL, prompts).start()?;
    run.new_token("Be")?;
    run.new_token("cause")?;
    run.end(|| LlmResult::from_text("Because"))
}

/// Does it on a thread of its own, and gives up after a while.
fn within<T: Send + 'static>(time: Duration, code: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(code()));
    receiver.recv_timeout(time).expect("it hangs, or panicked")
}

/// Is not ready at once.
struct Sleeps;

#[callback_handler]
impl Sleeps {
    async fn on_custom_event(&self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    async fn on_tool_error(&self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Remembers which thread it was called on.
#[derive(Default)]
struct Threads(Mutex<Vec<ThreadId>>);

#[callback_handler]
impl Threads {
    fn on_llm_start(&self) {
        self.0.lock().unwrap().push(thread::current().id());
    }

    fn on_llm_new_token(&self) {
        self.0.lock().unwrap().push(thread::current().id());
    }

    fn on_llm_end(&self) {
        self.0.lock().unwrap().push(thread::current().id());
    }
}

#[test]
fn sync_methods_are_called_on_the_callers_thread() {
    everywhere(|place| {
        let threads = Arc::new(Threads::default());
        call(&Callbacks::new().with(threads.clone()).blocking()).unwrap();
        let here = thread::current().id();
        assert_eq!(*threads.0.lock().unwrap(), [here; 4], "{place}");
    });
}

/// Has what handlers have: a pool that lives in a task, a timer, other tasks.
#[derive(Default)]
struct Pooled {
    pool: OnceCell<tokio::sync::mpsc::Sender<oneshot::Sender<u32>>>,
    seen: Mutex<Vec<u32>>,
}

impl Pooled {
    async fn ask(&self) {
        let pool = self.pool.get_or_init(async || {
            let (pool, mut requests) = tokio::sync::mpsc::channel::<oneshot::Sender<u32>>(1);
            tokio::spawn(async move {
                let mut served = 0;
                while let Some(request) = requests.recv().await {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    served += 1;
                    let _ = request.send(served);
                }
            });
            pool
        });
        let (reply, answer) = oneshot::channel();
        pool.await.send(reply).await.unwrap();
        let served = answer.await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.seen.lock().unwrap().push(served);
    }
}

#[callback_handler]
impl Pooled {
    async fn on_llm_start(&self) {
        self.ask().await;
    }

    async fn on_llm_new_token(&self) {
        self.ask().await;
    }

    async fn on_llm_end(&self) {
        self.ask().await;
    }
}

#[test]
fn async_methods_complete_and_keep_what_they_pool() {
    everywhere(|place| {
        let pooled = Arc::new(Pooled::default());
        let callbacks = Callbacks::new().with(pooled.clone()).blocking();
        call(&callbacks).unwrap();
        call(&callbacks).unwrap();
        let seen = pooled.seen.lock().unwrap().clone();
        assert_eq!(seen, [1, 2, 3, 4, 5, 6, 7, 8], "{place}");
    });
}

/// Without a runtime of its own it is always the same one, from any thread.
#[test]
fn what_is_pooled_is_there_for_the_next_thread() {
    let pooled = Arc::new(Pooled::default());
    for _ in 0..3 {
        let pooled = pooled.clone();
        let caller = move || call(&Callbacks::new().with(pooled).blocking());
        thread::spawn(caller).join().unwrap().unwrap();
    }
    assert_eq!(pooled.seen.lock().unwrap().len(), 12);
}

/// A task has a budget; one that blocks would never get another.
#[test]
fn a_handler_that_does_a_lot_is_not_starved() {
    struct Busy;

    #[callback_handler]
    impl Busy {
        async fn on_llm_end(&self) {
            let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
            tokio::spawn(async move {
                for number in 0..1000 {
                    sender.send(number).await.unwrap();
                }
            });
            let mut last = 0;
            while let Some(number) = receiver.recv().await {
                last = number;
            }
            assert_eq!(last, 999);
        }
    }

    everywhere(|place| {
        let busy = handler(Busy).raise_errors();
        let callbacks = Callbacks::new().with(busy).blocking();
        assert!(call(&callbacks).is_ok(), "{place}");
    });
}

#[test]
fn everything_is_in_order() {
    everywhere(|place| {
        let (callbacks, log) = recorder();
        let callbacks = callbacks.blocking();
        let chain = callbacks.chain_start(&CHAIN, json!(1)).start().unwrap();
        let inside = chain.callbacks();
        let tool = inside.tool_start(&TOOL, "x").tool_call_id("7").start();
        let tool = tool.unwrap();
        tool.text("working").unwrap();
        tool.retry(callbacks::RetryState::new(1)).unwrap();
        tool.custom_event("progress", json!(0.5)).unwrap();
        tool.end(json!(2)).unwrap();
        let retriever = inside.retriever_start(&CHAIN, "q").start().unwrap();
        retriever.finish(Ok::<_, RunError>(Vec::new())).unwrap();
        let model = inside
            .chat_model_start(&MODEL, Vec::<callbacks::Message>::new())
            .start()
            .unwrap();
        model.new_chunk(callbacks::Chunk::text("a")).unwrap();
        model
            .error_with_partial(RunError::new("cut"), LlmResult::from_text("a"))
            .unwrap();
        chain
            .agent_action(callbacks::AgentAction::new("tool", json!("x")))
            .unwrap();
        chain
            .agent_finish(callbacks::AgentFinish::new(json!("y")))
            .unwrap();
        chain.error(RunError::new("no")).unwrap();
        assert_eq!(
            log.lines(),
            [
                "Chain: chain start 1",
                "Tool: tool start \"x\" None Some(\"7\")",
                "Tool: text \"working\"",
                "Tool: retry 1",
                "Tool: custom \"progress\" 0.5",
                "Tool: tool end 2 Some(\"7\")",
                "Chain: retriever start \"q\"",
                "Chain: retriever end 0",
                "Model: chat model start []",
                "Model: token \"a\" Some(\"a\") 0",
                "Model: llm error Failed Some(\"a\")",
                "Chain: agent action \"tool\"",
                "Chain: agent finish \"y\"",
                "Chain: chain error Failed",
            ],
            "{place}"
        );
    });
}

/// Handlers that nobody waits for, of both sorts.
#[derive(Default)]
struct Slow(Log);

#[callback_handler]
impl Slow {
    fn on_llm_new_token(&self, token: &str) {
        self.0.add(format_args!("plain {token}"));
    }

    async fn on_llm_end(&self, response: &LlmResult) {
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.0.add(format_args!("async {}", response.text()));
    }
}

#[test]
fn background_handlers_flush_and_records_work() {
    everywhere(|place| {
        let log = Log::new();
        let slow = handler(Slow(log.clone())).named("slow");
        let callbacks = Callbacks::new().with(slow.background(Queue::bounded(1)));
        let (callbacks, records) = callbacks.record(Queue::bounded(64));
        let callbacks = callbacks.blocking();
        call(&callbacks).unwrap();
        let report = callbacks.flush(LONG);
        let slow = report.handler("slow").unwrap();
        assert_eq!(
            (slow.delivered, slow.pending),
            (3, 0),
            "{place}: {report:?}"
        );
        assert_eq!(log.lines(), ["plain Be", "plain cause", "async Because"]);
        drop((callbacks, records));
    });
}

/// An emission that waits for room waits for a task, which has to go on meanwhile.
#[test]
fn a_full_queue_of_an_async_handler_empties() {
    struct Drains(Log);

    #[callback_handler]
    impl Drains {
        async fn on_llm_new_token(&self, token: &str) {
            tokio::time::sleep(Duration::from_millis(1)).await;
            self.0.add(token);
        }
    }

    everywhere(|place| {
        let log = Log::new();
        let queue = Queue::bounded(1).on_full(OnFull::Wait);
        let drains = handler(Drains(log.clone())).background(queue);
        let callbacks = Callbacks::new().with(drains).blocking();
        let run = callbacks.llm_start(&MODEL, prompts).start().unwrap();
        for token in ["a", "b", "c", "d", "e"] {
            run.new_token(token).unwrap();
        }
        run.end(LlmResult::default()).unwrap();
        assert!(callbacks.flush(LONG).is_complete(), "{place}");
        assert_eq!(log.lines(), ["a", "b", "c", "d", "e"], "{place}");
    });
}

#[test]
fn a_dropped_guard_closes_its_run() {
    everywhere(|place| {
        let (callbacks, log) = recorder();
        let callbacks = callbacks.with(Pooled::default()).blocking();
        drop(callbacks.llm_start(&MODEL, prompts).start().unwrap());
        assert!(callbacks.flush(LONG).is_complete(), "{place}");
        assert_eq!(
            log.lines(),
            [
                "Model: llm start [\"Why?\"]",
                "Model: llm error Dropped None"
            ],
            "{place}"
        );
    });
}

#[test]
fn decisions_are_asked() {
    struct Approver;

    #[callback_handler]
    impl Approver {
        async fn on_tool_request(&self, input: &str) -> Decision<String, Value> {
            tokio::time::sleep(Duration::from_millis(1)).await;
            match input {
                "2 + 2" => Decision::Answer(json!(4)),
                "rm" => Decision::Stop("no".to_owned()),
                other => Decision::Rewrite(format!("{other}!")),
            }
        }
    }

    #[callback_handler(events = shop::trade)]
    impl Approver {
        fn on_refund(&self, cents: u64) -> shop::Verdict {
            shop::Verdict::Less(cents / 2)
        }
    }

    everywhere(|place| {
        let approver = Arc::new(Approver);
        let callbacks = Callbacks::new()
            .with::<callbacks::events::Events, _>(approver.clone())
            .with::<shop::trade::Events, _>(approver)
            .blocking();
        let answered = callbacks.tool_start(&TOOL, "2 + 2").ask().start().unwrap();
        assert!(
            matches!(answered, Asked::Answered(value) if value == 4),
            "{place}"
        );
        let Asked::Go(run) = callbacks.tool_start(&TOOL, "hi").ask().start().unwrap() else {
            panic!("{place}")
        };
        assert_eq!(run.input(), "hi!");
        let refund = Refund {
            item: "tea",
            cents: 10,
        };
        assert_eq!(run.ask(refund).unwrap(), shop::Verdict::Yes);
        let (_, halved) = run.ask_to_rewrite(refund).unwrap();
        assert_eq!(halved.cents, 5, "{place}");
        run.end(json!("bye")).unwrap();
        let (_, halved) = callbacks.ask_to_rewrite(refund).unwrap();
        assert_eq!(halved.cents, 5);
        assert_eq!(callbacks.ask(refund).unwrap(), shop::Verdict::Yes);
        let stopped = callbacks.tool_start(&TOOL, "rm").start();
        assert!(matches!(stopped, Err(EmitError::Stopped { .. })), "{place}");
    });
}

#[test]
fn events_of_any_set_are_emitted() {
    struct Ledger(Log);

    #[callback_handler(events = shop::trade)]
    impl Ledger {
        async fn on_sold(&self, item: &str) {
            self.0.add(item);
        }
    }

    everywhere(|place| {
        let log = Log::new();
        let callbacks = Callbacks::new().with(Ledger(log.clone())).blocking();
        let sold = |item| Sold {
            item,
            count: 1,
            order: None,
            orders: &[],
        };
        callbacks.emit(sold("tea")).unwrap();
        let chain = callbacks.chain_start(&CHAIN, Value::Null).start().unwrap();
        chain.emit(sold("cup")).unwrap();
        chain
            .callbacks()
            .custom_event("nobody", || panic!())
            .unwrap();
        assert_eq!(log.lines(), ["tea", "cup"], "{place}");
    });
}

#[test]
fn failures_are_raised() {
    everywhere(|place| {
        for faulty in [
            Faulty::error("no"),
            Faulty::panic("no"),
            Faulty::error("no").asynchronous(),
        ] {
            let records = Records::new();
            let faulty = handler(faulty.on::<LlmNewToken<'_>>()).raise_errors();
            let callbacks = Callbacks::new().with(faulty).with(records.clone());
            let run = callbacks
                .blocking()
                .llm_start(&MODEL, prompts)
                .start()
                .unwrap();
            let raised = run.new_token("a");
            assert!(matches!(raised, Err(EmitError::Raised { .. })), "{place}");
            run.end(LlmResult::default()).unwrap();
            assert_events!(records, [LlmStart, LlmNewToken, LlmEnd], "{place}");
        }
    });
}

#[test]
fn a_timeout_bounds_async_methods() {
    everywhere(|place| {
        let (stalls, stall) = Faulty::stall();
        let stalls = stalls.on::<LlmEnd<'_>>().asynchronous();
        let stalls = handler(stalls).timeout(Duration::from_millis(10));
        let callbacks = Callbacks::new().with(stalls.named("stalls")).blocking();
        call(&callbacks).unwrap();
        let report = callbacks.flush(LONG);
        assert_eq!(report.handler("stalls").unwrap().timed_out, 1, "{place}");
        drop(stall);
    });
}

/// What a handler emits is put off, as always: nothing is called in the middle of anything.
#[test]
fn inside_a_callback_nothing_blocks() {
    struct Acts(Callbacks, Log);

    #[callback_handler]
    impl Acts {
        fn on_llm_end(&self) {
            let callbacks = self.0.blocking();
            let tool = callbacks.tool_start(&TOOL, "inside").start().unwrap();
            tool.text("soon").unwrap();
            self.1.add("acting");
            tool.end(Value::Null).unwrap();
            assert!(callbacks.flush(LONG).handlers.len() == 1);
            self.1.add("acted");
        }
    }

    everywhere(|place| {
        let (others, log) = recorder();
        let callbacks = Callbacks::new().with(Acts(others, log.clone()));
        call(&callbacks.blocking()).unwrap();
        assert_eq!(
            log.lines(),
            [
                "acting",
                "acted",
                "Tool: tool start \"inside\" None None",
                "Tool: text \"soon\"",
                "Tool: tool end null None",
            ],
            "{place}"
        );
    });
}

#[test]
fn exclusive_handlers_are_never_called_two_at_once() {
    #[derive(Default)]
    struct Counter(u32);

    #[callback_handler]
    impl Counter {
        fn on_llm_new_token(&mut self) {
            let before = self.0;
            thread::yield_now();
            self.0 = before + 1;
        }
    }

    let counter = Exclusive::new(Counter::default());
    let callbacks = Callbacks::new().with(counter.clone());
    thread::scope(|scope| {
        for _ in 0..4 {
            let callbacks = callbacks.blocking();
            scope.spawn(move || {
                for _ in 0..50 {
                    call(&callbacks).unwrap();
                }
            });
        }
    });
    assert_eq!(counter.with(|counter| counter.0), 400);
}

/// One tree, two flavours: what blocks is a child of what is awaited.
#[test]
fn a_blocking_run_can_be_inside_an_async_one() {
    current_thread().block_on(async {
        let records = Records::new();
        let callbacks = Callbacks::new().with(records.clone());
        let chain = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
        let inside = chain.callbacks().blocking();
        let left = spawn_blocking(move || {
            call(&inside).unwrap();
            inside.tool_start(&TOOL, "left open").start().unwrap()
        });
        let left = left.await.unwrap();
        chain.end(Value::Null).await.unwrap();
        assert!(matches!(left.end(Value::Null), Err(EmitError::RunClosed)));
        assert_events!(
            records,
            [
                ChainStart,
                LlmStart,
                LlmNewToken,
                LlmNewToken,
                LlmEnd,
                ToolStart,
                ToolError,
                ChainEnd
            ]
        );
        records.assert_balanced();
    });
}

#[test]
fn code_in_scope_finds_the_callbacks() {
    let (callbacks, log) = recorder();
    let chain = callbacks.blocking();
    let chain = chain.chain_start(&CHAIN, Value::Null).start().unwrap();
    chain.call_in_scope(|| {
        let callbacks = Callbacks::current().unwrap().blocking();
        callbacks.custom_event("found", json!(true)).unwrap();
    });
    assert_eq!(log.lines()[1..], ["Chain: custom \"found\" true"]);
    assert!(Callbacks::current().is_none());
}

/// A function for callbacks of either flavour, and a guard for any function.
#[test]
fn blocking_callbacks_are_callbacks() {
    fn tags(callbacks: &Callbacks) -> String {
        format!("{:?}", callbacks.tag("b"))
    }

    let callbacks = Callbacks::new().tag("a").blocking();
    assert!(tags(&callbacks).contains(r#"tags: ["a", "b"]"#));
    let chain = callbacks.chain_start(&CHAIN, Value::Null).start().unwrap();
    assert!(tags(chain.callbacks()).contains(r#"tags: ["a", "b"]"#));
    let inner = chain.callbacks().blocking();
    inner
        .tool_start(&TOOL, "x")
        .start()
        .unwrap()
        .end(Value::Null)
        .unwrap();
}

/// The lanes of an async emission and the thread of a blocking one share a handler and a run.
#[test]
fn both_flavours_of_one_run_tree_are_in_order() {
    multi_thread(1).block_on(async {
        let (callbacks, log) = recorder();
        let chain = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
        let mut expected = vec!["Chain: chain start null".to_owned()];
        for number in 0..50 {
            let (one, two) = (format!("async {number}"), format!("blocking {number}"));
            chain.text(&one).await.unwrap();
            let inside = chain.callbacks().blocking();
            inside.custom_event(&two, Value::Null).unwrap();
            expected.push(format!("Chain: text {one:?}"));
            expected.push(format!("Chain: custom {two:?} null"));
        }
        assert_eq!(log.lines(), expected);
    });
}

/// A handler that waits for a task of the runtime whose thread it blocks.
struct Waits(Arc<Notify>);

#[callback_handler]
impl Waits {
    async fn on_llm_end(&self) {
        self.0.notified().await;
    }
}

#[test]
fn on_the_thread_of_a_runtime_a_handler_has_a_timeout_by_default() {
    current_thread().block_on(async {
        let notify = Arc::new(Notify::new());
        let waits = handler(Waits(notify.clone())).named("waits");
        let callbacks = Callbacks::new().with(waits).blocking();
        // It would only run if this thread did.
        tokio::spawn(async move { notify.notify_one() });
        call(&callbacks).unwrap();
        let report = callbacks.flush(LONG);
        assert_eq!(report.handler("waits").unwrap().timed_out, 1);
    });
}

#[test]
fn what_can_never_go_on_is_an_error() {
    current_thread().block_on(async {
        let notify = Arc::new(Notify::new());
        let queue = Queue::bounded(1);
        struct Drains(Arc<Notify>);

        #[callback_handler]
        impl Drains {
            async fn on_custom_event(&self) {
                self.0.notified().await;
            }
        }

        let drains = handler(Drains(notify.clone())).background(queue);
        let chain = Callbacks::new().with(drains);
        let chain = chain.chain_start(&CHAIN, Value::Null).await.unwrap();
        // One is being handled by a task of this runtime, one is queued.
        chain.custom_event("a", Value::Null).await.unwrap();
        tokio::task::yield_now().await;
        chain.custom_event("b", Value::Null).await.unwrap();
        let inside = chain.callbacks().blocking();
        let emitted = inside.custom_event("c", Value::Null);
        assert!(
            matches!(emitted, Err(EmitError::WouldDeadlock)),
            "{emitted:?}"
        );
        notify.notify_one();
        chain.end(Value::Null).await.unwrap();
    });
}

/// Handlers of one thread, emissions of another: the reply is not lost whoever is first.
#[test]
fn a_wake_from_another_thread_is_not_lost() {
    struct Elsewhere;

    #[callback_handler]
    impl Elsewhere {
        async fn on_llm_new_token(&self) {
            let (sender, receiver) = oneshot::channel();
            thread::spawn(move || sender.send(()));
            receiver.await.unwrap();
        }
    }

    let callbacks = Callbacks::new().with(Elsewhere).blocking();
    let (done, finished) = mpsc::channel();
    thread::spawn(move || {
        for _ in 0..100 {
            call(&callbacks).unwrap();
        }
        done.send(()).unwrap();
    });
    finished.recv_timeout(Duration::from_secs(60)).unwrap();
}
