//! Rules 6 and 7, one way at a time: every start has exactly one end, and children close before their
//! parents. All ways at once are in `terminal.rs`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use callbacks::{
    Callbacks, ChainRun, EmitError, LlmResult, Run, RunError, RunId, Serialized, callback_handler,
    handler,
};
use callbacks_tests::{Log, Recorder, prompts, recorder};
use futures_util::poll;
use serde_json::Value;
use tokio::runtime::Builder;
use tokio::sync::{Notify, Semaphore};

static MODEL: Serialized = Serialized::new("Model");
static CHAIN: Serialized = Serialized::new("Chain");
static TOOL: Serialized = Serialized::new("Tool");
static RETRIEVER: Serialized = Serialized::new("Retriever");

// Rule 6: exactly one terminal event per start.

/// Waits until nothing more is on its way.
async fn settled(log: &Log, lines: usize) -> Vec<String> {
    tokio::time::timeout(Duration::from_secs(10), async {
        while log.lines().len() < lines {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("{:?}", log.lines()));
    log.lines()
}

#[tokio::test]
async fn a_guard_dropped_open_closes_with_an_error() {
    let (callbacks, log) = recorder();
    drop(callbacks.llm_start(&MODEL, prompts).await.unwrap());
    drop(callbacks.chain_start(&CHAIN, &Value::Null).await.unwrap());
    drop(callbacks.tool_start(&TOOL, "").await.unwrap());
    drop(callbacks.retriever_start(&RETRIEVER, "").await.unwrap());
    let mut lines = settled(&log, 8).await;
    lines.sort();
    let expected = [
        "Chain: chain error Dropped",
        "Chain: chain start null",
        "Model: llm error Dropped None",
        r#"Model: llm start ["Why?"]"#,
        "Retriever: retriever error Dropped",
        r#"Retriever: retriever start """#,
        r#"Tool: tool error Dropped "the run was dropped before it ended" None"#,
        r#"Tool: tool start "" None None"#,
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn a_panic_in_the_body_closes_the_run() {
    let (callbacks, log) = recorder();
    let body = tokio::spawn(async move {
        let _run = callbacks.chain_start(&CHAIN, &Value::Null).await.unwrap();
        panic!("the body panics");
    });
    assert!(body.await.unwrap_err().is_panic());
    let lines = settled(&log, 2).await;
    assert_eq!(
        lines,
        ["Chain: chain start null", "Chain: chain error Panicked"]
    );
}

#[tokio::test]
async fn a_payload_that_panics_closes_the_run() {
    let (callbacks, log) = recorder();
    let body = tokio::spawn(async move {
        let run = callbacks.chain_start(&CHAIN, &Value::Null).await.unwrap();
        run.end(|| panic!("the payload panics")).await
    });
    assert!(body.await.unwrap_err().is_panic());
    let lines = settled(&log, 2).await;
    assert_eq!(
        lines,
        ["Chain: chain start null", "Chain: chain error Panicked"]
    );
}

/// Stops in its methods until it is let go.
#[derive(Default)]
struct Gate {
    log: Log,
    open: Notify,
}

#[callback_handler]
impl Gate {
    async fn on_llm_start(&self) {
        self.log.add("start entered");
        self.open.notified().await;
        self.log.add("start left");
    }

    async fn on_llm_end(&self, response: &LlmResult) {
        self.log
            .add(format_args!("end entered {}", response.text()));
        self.open.notified().await;
        self.log.add("end left");
    }

    async fn on_llm_error(&self, error: &RunError) {
        self.log.add(format_args!("error {:?}", error.kind));
    }
}

#[tokio::test]
async fn an_end_that_is_cancelled_reaches_its_handlers_in_full() {
    let (gate, (_, log)) = (Arc::new(Gate::default()), recorder());
    let callbacks = Callbacks::new()
        .with(gate.clone())
        .with(Recorder(log.clone()));
    gate.open.notify_one();
    let run = callbacks.llm_start(&MODEL, prompts).await.unwrap();
    assert_eq!(gate.log.take(), ["start entered", "start left"]);

    let mut end = Box::pin(async move { run.end(&LlmResult::from_text("done")).await });
    let polled = end.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    assert_eq!(gate.log.lines(), ["end entered done"]);
    drop(end);
    gate.open.notify_one();
    assert_eq!(
        settled(&gate.log, 2).await,
        ["end entered done", "end left"]
    );
    let expected = [
        r#"Model: llm start ["Why?"]"#,
        r#"Model: llm end "done" None"#,
    ];
    assert_eq!(settled(&log, 2).await, expected);
}

#[tokio::test]
async fn an_end_that_is_never_polled_is_a_dropped_run() {
    let (callbacks, log) = recorder();
    let run = callbacks.chain_start(&CHAIN, &Value::Null).await.unwrap();
    drop(run.end(&Value::Null));
    let lines = settled(&log, 2).await;
    assert_eq!(
        lines,
        ["Chain: chain start null", "Chain: chain error Dropped"]
    );
}

#[tokio::test]
async fn a_start_that_is_cancelled_closes_the_run() {
    let gate = Arc::new(Gate::default());
    let callbacks = Callbacks::new().with(gate.clone());
    {
        let mut start = Box::pin(callbacks.llm_start(&MODEL, prompts).into_future());
        let polled = start.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
    }
    assert_eq!(
        settled(&gate.log, 2).await,
        ["start entered", "error Dropped"]
    );
}

#[tokio::test]
async fn a_start_that_is_never_polled_is_none() {
    let (callbacks, log) = recorder();
    drop(callbacks.llm_start(&MODEL, prompts).into_future());
    drop(callbacks.llm_start(&MODEL, prompts));
    let run = callbacks.chain_start(&CHAIN, &Value::Null).await.unwrap();
    run.end(&Value::Null).await.unwrap();
    assert_eq!(
        log.lines(),
        ["Chain: chain start null", "Chain: chain end null"]
    );
}

/// The task that holds the guard goes down with its runtime; the terminal event does not.
#[test]
fn a_run_whose_runtime_is_dropped_closes() {
    for flavor in ["current thread", "multi thread"] {
        let runtime = match flavor {
            "current thread" => tokio::runtime::Builder::new_current_thread().build(),
            _ => tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .build(),
        };
        let runtime = runtime.unwrap();
        let (callbacks, log) = recorder();
        let gate = Arc::new(Gate::default());
        let callbacks = callbacks.with(gate.clone());
        gate.open.notify_one();
        let started = Arc::new(Notify::new());
        let told = started.clone();
        runtime.spawn(async move {
            let _run = callbacks.llm_start(&MODEL, prompts).await.unwrap();
            told.notify_one();
            std::future::pending::<()>().await;
        });
        runtime.block_on(started.notified());
        drop(runtime);

        let waiting = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        waiting.unwrap().block_on(async {
            let expected = [
                r#"Model: llm start ["Why?"]"#,
                "Model: llm error Dropped None",
            ];
            assert_eq!(settled(&log, 2).await, expected, "{flavor}");
            let expected = ["start entered", "start left", "error Dropped"];
            assert_eq!(settled(&gate.log, 3).await, expected, "{flavor}");
        });
    }
}

#[test]
fn a_run_without_any_runtime_closes() {
    let (callbacks, log) = recorder();
    futures_executor::block_on(async {
        drop(callbacks.chain_start(&CHAIN, &Value::Null).await.unwrap());
    });
    let waiting = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let lines = waiting.unwrap().block_on(settled(&log, 2));
    assert_eq!(
        lines,
        ["Chain: chain start null", "Chain: chain error Dropped"]
    );
}

// Rule 7: parents open before children and close after them.

#[tokio::test]
async fn what_is_open_inside_closes_first_deepest_first() {
    let (callbacks, log) = recorder();
    let root = callbacks
        .chain_start(&CHAIN, &Value::Null)
        .name("root")
        .await
        .unwrap();
    let middle = root
        .callbacks()
        .chain_start(&CHAIN, &Value::Null)
        .name("middle");
    let middle = middle.await.unwrap();
    let leaf = middle
        .callbacks()
        .llm_start(&MODEL, prompts)
        .name("leaf")
        .await
        .unwrap();
    let inside = leaf.callbacks().clone();
    log.take();

    root.end(&Value::Null).await.unwrap();
    let expected = [
        "leaf: llm error Abandoned None",
        "middle: chain error Abandoned",
        "root: chain end null",
    ];
    assert_eq!(log.take(), expected);

    assert!(matches!(
        leaf.new_token("late").await,
        Err(EmitError::RunClosed)
    ));
    assert!(matches!(leaf.text("late").await, Err(EmitError::RunClosed)));
    let late = inside.tool_start(&TOOL, "").await;
    assert!(matches!(late, Err(EmitError::RunClosed)));
    assert!(matches!(
        leaf.end(&LlmResult::default()).await,
        Err(EmitError::RunClosed)
    ));
    let late = middle.error(RunError::new("late")).await;
    assert!(matches!(late, Err(EmitError::RunClosed)));
    assert!(log.lines().is_empty());
}

/// The child's end hangs in a handler and is polled by nobody; the parent's end brings it on.
#[tokio::test]
async fn a_parent_waits_for_a_child_that_is_closing() {
    let (callbacks, log) = recorder();
    let gate = Arc::new(Gate {
        log: log.clone(),
        open: Notify::new(),
    });
    gate.open.notify_one();
    let root = callbacks.chain_start(&CHAIN, &Value::Null).await.unwrap();
    let inside = root.callbacks().with(gate.clone());
    let child = inside.llm_start(&MODEL, prompts).await.unwrap();
    log.take();

    let result = LlmResult::from_text("done");
    let mut end = Box::pin(child.end(&result));
    let polled = end.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    let mut parent = Box::pin(root.end(&Value::Null));
    let polled = parent
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    gate.open.notify_one();
    parent.await.unwrap();
    let lines = log.take();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(lines[3], "Chain: chain end null", "{lines:?}");
    end.await.unwrap();
    assert!(log.lines().is_empty());
}

#[tokio::test]
async fn a_leaked_guard_is_closed_by_its_parent() {
    let (callbacks, log) = recorder();
    let root = callbacks.chain_start(&CHAIN, &Value::Null).await.unwrap();
    std::mem::forget(root.callbacks().tool_start(&TOOL, "").await.unwrap());
    root.end(&Value::Null).await.unwrap();
    let message = "the run was still open when the run around it closed";
    let error = format!("Tool: tool error Abandoned {message:?} None");
    assert_eq!(log.lines()[2..], [error.as_str(), "Chain: chain end null"]);
}

#[tokio::test]
async fn a_deep_tree_closes_without_recursion() {
    struct Errors(Mutex<usize>);

    #[callback_handler]
    impl Errors {
        fn on_chain_error(&self) {
            *self.0.lock().unwrap() += 1;
        }
    }

    let errors = Arc::new(Errors(Mutex::new(0)));
    let callbacks = Callbacks::new().with(handler(errors.clone()).inline());
    let root = callbacks.chain_start(&CHAIN, &Value::Null).await.unwrap();
    let mut runs = vec![
        root.callbacks()
            .chain_start(&CHAIN, &Value::Null)
            .await
            .unwrap(),
    ];
    for _ in 1..10_000 {
        let parent = runs.last().unwrap();
        runs.push(
            parent
                .callbacks()
                .chain_start(&CHAIN, &Value::Null)
                .await
                .unwrap(),
        );
    }
    root.end(&Value::Null).await.unwrap();
    assert_eq!(*errors.0.lock().unwrap(), 10_000);
    // the last one alone holds all the others' infos
    let last = runs.pop();
    drop(runs);
    drop(last);
}

/// Each waits for the one below it, and not for all that are below: nobody has driven any yet.
#[tokio::test]
async fn a_deep_tree_closes_from_the_inside_in_time() {
    struct Errors(Mutex<usize>);

    #[callback_handler]
    impl Errors {
        fn on_chain_error(&self) {
            *self.0.lock().unwrap() += 1;
        }
    }

    let errors = Arc::new(Errors(Mutex::new(0)));
    let callbacks = Callbacks::new().with(handler(errors.clone()).inline());
    let mut runs = vec![callbacks.chain_start(&CHAIN, Value::Null).await.unwrap()];
    for _ in 1..10_000 {
        let inside = runs.last().unwrap().callbacks();
        runs.push(inside.chain_start(&CHAIN, Value::Null).await.unwrap());
    }
    let closed = async {
        while let Some(deepest) = runs.pop() {
            drop(deepest);
        }
        callbacks.flush(Duration::from_secs(10)).await
    };
    let report = tokio::time::timeout(Duration::from_secs(10), closed).await;
    assert!(report.unwrap().is_complete());
    assert_eq!(*errors.0.lock().unwrap(), 10_000);
}

/// Hears the ends of chains, and is not done with any before it is let go.
struct Holds(Semaphore, AtomicUsize);

#[callback_handler]
impl Holds {
    async fn on_chain_error(&self) {
        let _ = self.0.acquire().await;
        self.1.fetch_add(1, Ordering::SeqCst);
    }

    async fn on_chain_end(&self) {
        let _ = self.0.acquire().await;
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

impl Holds {
    fn new() -> (Callbacks, Arc<Self>) {
        let holds = Arc::new(Self(Semaphore::new(0), AtomicUsize::new(0)));
        (Callbacks::new().with(holds.clone()), holds)
    }

    fn let_go(&self) {
        self.0.close();
    }

    fn ended(&self) -> usize {
        self.1.load(Ordering::SeqCst)
    }
}

/// So many chains, each in the one before.
async fn nested(callbacks: &Callbacks, depth: usize) -> Vec<ChainRun> {
    let mut runs = vec![callbacks.chain_start(&CHAIN, Value::Null).await.unwrap()];
    for _ in 1..depth {
        let inside = runs.last().unwrap().callbacks();
        runs.push(inside.chain_start(&CHAIN, Value::Null).await.unwrap());
    }
    runs
}

/// Each waits for the one below it, which waits itself.
#[tokio::test]
async fn a_deep_tree_of_runs_that_are_closing_closes_without_recursion() {
    let (callbacks, holds) = Holds::new();
    let mut runs = nested(&callbacks, 10_000).await;
    while let Some(deepest) = runs.pop() {
        drop(deepest);
    }
    for _ in 0..4 {
        tokio::task::yield_now().await;
    }
    assert_eq!(holds.ended(), 0);
    holds.let_go();
    assert!(callbacks.flush(Duration::from_secs(30)).await.is_complete());
    assert_eq!(holds.ended(), 10_000);
}

/// The same, with ends that somebody waits for: all are polled once, and then only the outermost one. It
/// brings the others on, whatever runs it.
#[test]
fn a_deep_tree_of_ends_closes_without_recursion() {
    async fn ends() {
        let (callbacks, holds) = Holds::new();
        let mut ends = Vec::new();
        for run in nested(&callbacks, 10_000).await.into_iter().rev() {
            let mut end = Box::pin(run.end(Value::Null));
            assert!(poll!(end.as_mut()).is_pending());
            ends.push(end);
        }
        assert_eq!(holds.ended(), 0);
        holds.let_go();
        let outermost = ends.pop().unwrap();
        outermost.await.unwrap();
        assert_eq!(holds.ended(), 10_000);
        for end in ends {
            end.await.unwrap();
        }
        assert_eq!(holds.ended(), 10_000);
    }

    Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(ends());
    let workers = Builder::new_multi_thread().worker_threads(2).build();
    workers.unwrap().block_on(ends());
    futures_executor::block_on(ends());
}

/// The thread waits that runs the runtime of the ends inside.
#[tokio::test]
async fn a_deep_tree_closes_on_a_thread_that_waits() {
    let (callbacks, holds) = Holds::new();
    let blocking = callbacks.blocking();
    let root = blocking.chain_start(&CHAIN, Value::Null).start().unwrap();
    let runs = nested(root.callbacks(), 100).await;
    let mut ends = Vec::new();
    for run in runs.into_iter().rev() {
        let mut end = Box::pin(run.end(Value::Null));
        assert!(poll!(end.as_mut()).is_pending());
        ends.push(end);
    }
    holds.let_go();
    root.end(Value::Null).unwrap();
    assert_eq!(holds.ended(), 101);
}

#[tokio::test]
async fn a_wide_tree_closes_in_time() {
    struct Errors(Mutex<usize>);

    #[callback_handler]
    impl Errors {
        fn on_tool_error(&self) {
            *self.0.lock().unwrap() += 1;
        }
    }

    let errors = Arc::new(Errors(Mutex::new(0)));
    let callbacks = Callbacks::new().with(handler(errors.clone()).inline());
    let root = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
    let mut runs = Vec::new();
    for _ in 0..100_000 {
        runs.push(root.callbacks().tool_start(&TOOL, "").await.unwrap());
    }
    root.end(Value::Null).await.unwrap();
    assert_eq!(*errors.0.lock().unwrap(), 100_000);
    drop(runs);
}

/// Runs and handlers hold each other while a run is open, and no longer.
#[tokio::test]
async fn a_closed_run_leaves_nothing_behind() {
    let recorder = Arc::new(Recorder::default());
    let handler = Arc::downgrade(&recorder);
    let callbacks = Callbacks::new().with(recorder);
    let root = callbacks.chain_start(&CHAIN, &Value::Null).await.unwrap();
    let child = root.callbacks().llm_start(&MODEL, prompts).await.unwrap();
    let abandoned = root.callbacks().tool_start(&TOOL, "").await.unwrap();
    child.new_token("token").await.unwrap();
    child.end(&LlmResult::default()).await.unwrap();
    root.end(&Value::Null).await.unwrap();
    drop((abandoned, callbacks));
    // a worker may still be on its way out
    let gone = async {
        while handler.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone)
        .await
        .unwrap();
}

/// The start is on its way to the handlers when the run around it closes.
#[tokio::test]
async fn a_run_that_is_closed_while_it_starts_has_a_start_and_an_end() {
    /// Ends the run around the one that starts.
    struct Closer {
        log: Log,
        parent: Mutex<Option<callbacks::ChainRun>>,
    }

    #[callback_handler]
    impl Closer {
        fn on_tool_start(&self) {
            let Some(parent) = self.parent.lock().unwrap().take() else {
                return;
            };
            let mut end = Box::pin(parent.end(Value::Null));
            let polled = end.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(matches!(polled, Poll::Ready(Ok(()))), "nothing waits here");
            self.log.add("closing");
        }
    }

    let (callbacks, log) = recorder();
    let closer = Arc::new(Closer {
        log: log.clone(),
        parent: Mutex::new(None),
    });
    let callbacks = callbacks.with(handler(closer.clone()).inline());
    let parent = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
    let inside = parent.callbacks().clone();
    log.take();
    *closer.parent.lock().unwrap() = Some(parent);
    let tool = inside.tool_start(&TOOL, "").await.unwrap();
    let lines = settled(&log, 4).await;
    let message = "the run was still open when the run around it closed";
    let expected = [
        "closing".to_owned(),
        r#"Tool: tool start "" None None"#.to_owned(),
        format!("Tool: tool error Abandoned {message:?} None"),
        "Chain: chain end null".to_owned(),
    ];
    assert_eq!(lines, expected);
    assert!(matches!(
        tool.end(Value::Null).await,
        Err(EmitError::RunClosed)
    ));
}

#[test]
fn a_run_ends_on_another_runtime_than_it_started_on() {
    let (callbacks, log) = recorder();
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
    };
    let (one, other) = (runtime(), runtime());
    let run = one.block_on(callbacks.tool_start(&TOOL, "").into_future());
    drop(one);
    other.block_on(run.unwrap().end(Value::Null)).unwrap();
    let expected = [
        r#"Tool: tool start "" None None"#,
        "Tool: tool end null None",
    ];
    assert_eq!(log.lines(), expected);
}

/// Parents close on one thread while children start on another.
#[test]
fn starts_and_closings_race() {
    #[derive(Default)]
    struct Balance(Mutex<std::collections::HashMap<RunId, i32>>);

    #[callback_handler]
    impl Balance {
        fn on_llm_start(&self, run: &Run<'_>) {
            *self.0.lock().unwrap().entry(run.id()).or_default() += 1;
        }

        fn on_llm_error(&self, run: &Run<'_>) {
            let mut balance = self.0.lock().unwrap();
            let open = balance.get_mut(&run.id()).expect("a start before its end");
            *open -= 1;
        }
    }

    let balance = Arc::new(Balance::default());
    let callbacks = Callbacks::new().with(balance.clone());
    // large enough that its copy takes a while
    let prompts = vec!["prompt".to_owned(); 2_000];
    for round in 0..200 {
        let root = callbacks.chain_start(&CHAIN, Value::Null);
        let root = futures_executor::block_on(root.into_future()).unwrap();
        let inside = root.callbacks().clone();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                futures_executor::block_on(async {
                    while let Ok(run) = inside.llm_start(&MODEL, &prompts).await {
                        std::mem::forget(run);
                    }
                });
            });
            (0..round).for_each(|_| std::thread::yield_now());
            futures_executor::block_on(root.end(Value::Null)).unwrap();
        });
    }
    let balance = balance.0.lock().unwrap();
    assert!(balance.values().all(|open| *open == 0), "{balance:?}");
}

/// "Emitting on a closed run is `RunClosed`, and delivers nothing", however its handlers are called.
#[tokio::test]
async fn an_emission_on_a_closed_run_reaches_nobody() {
    #[derive(Default)]
    struct Plain(Log);

    #[callback_handler]
    impl Plain {
        fn on_text(&self, text: &str) {
            self.0.add(text);
        }
    }

    #[derive(Default)]
    struct Asynchronous(Log);

    #[callback_handler]
    impl Asynchronous {
        async fn on_text(&self, text: &str) {
            self.0.add(text);
        }
    }

    let (plain, asynchronous) = (Arc::<Plain>::default(), Arc::<Asynchronous>::default());
    for callbacks in [
        Callbacks::new().with(handler(plain.clone()).inline()),
        Callbacks::new().with(plain.clone()),
        Callbacks::new().with(asynchronous.clone()),
    ] {
        let root = callbacks.chain_start(None, &Value::Null).await.unwrap();
        let tool = root.callbacks().tool_start(&TOOL, "").await.unwrap();
        let never_polled = tool.text("never polled");
        drop(never_polled);
        let before = tool.text("before");
        root.end(&Value::Null).await.unwrap();
        assert!(matches!(before.await, Err(EmitError::RunClosed)));
        assert!(matches!(tool.text("late").await, Err(EmitError::RunClosed)));
    }
    assert!(plain.0.lines().is_empty() && asynchronous.0.lines().is_empty());
}
