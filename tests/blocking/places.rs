//! Waiting with a thread in odd places: beside runtimes that stand still, shut down or are gone, on
//! threads that end or unwind, and where nobody needs a runtime.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use callbacks::testing::Faulty;
use callbacks::{
    BlockingCallbacks, Callbacks, Decision, EmitError, ToolDecision, callback_handler, handler,
};
use callbacks_tests::{CHAIN, Log, MODEL, TOOL, logger, prompts};
use serde_json::{Value, json};
use shop::trade::Refund;
use tokio::sync::oneshot;

use super::{LONG, Sleeps, current_thread, everywhere, multi_thread, within};

/// Runs this test again in a process of its own, with this variable set. True in that process.
fn alone(test: &str) -> bool {
    if std::env::var_os("TEST_ALONE").is_some() {
        return true;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("places::{test}"), "--nocapture"])
        .env("TEST_ALONE", "1")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    false
}

struct Yields(Log);

#[callback_handler]
impl Yields {
    async fn on_text(&self, text: &str) {
        // Each emission polls twice before it waits, so once is not enough to see it.
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        self.0.add(text);
    }
}

#[test]
fn a_method_may_yield() {
    everywhere(|place| {
        let log = Log::new();
        let callbacks = Callbacks::new().with(Yields(log.clone())).blocking();
        let chain = callbacks.chain_start(&CHAIN, Value::Null).start().unwrap();
        // It would be dropped there if it was not woken.
        chain.text("hi").unwrap();
        assert_eq!(log.lines(), ["hi"], "{place}");
    });
}

/// Takes longer than anything is waited for by default.
async fn thinks() {
    tokio::time::sleep(Duration::from_secs(32)).await;
}

struct Person;

#[callback_handler]
impl Person {
    async fn on_tool_request(&self) -> ToolDecision {
        thinks().await;
        Decision::Continue
    }
}

/// The same in a plain method, which is called for one tool after another, and thinks once.
#[derive(Default)]
struct PlainPerson(AtomicBool);

#[callback_handler]
impl PlainPerson {
    fn on_tool_request(&self) -> ToolDecision {
        if !self.0.swap(true, Ordering::Relaxed) {
            current_thread().block_on(thinks());
        }
        Decision::Continue
    }
}

/// One has a timeout of its own, a minute, the other has none. Nothing stands still: the threads are
/// beside the runtime.
#[test]
fn handlers_that_take_their_time_are_no_deadlock() {
    current_thread().block_on(async {
        let person = handler(Person).timeout(Duration::from_secs(60));
        let person = Callbacks::new().with(person).blocking();
        let chain = Callbacks::new().with(PlainPerson::default()).blocking();
        let chain = chain.chain_start(&CHAIN, Value::Null).start().unwrap();
        let plain = chain.callbacks().clone();
        let starts = [person, plain.clone(), plain].map(|callbacks| {
            let start = move || callbacks.tool_start(&TOOL, "x").start().map(drop);
            tokio::task::spawn_blocking(start)
        });
        for started in starts {
            let started = started.await.unwrap();
            assert!(started.is_ok(), "{started:?}");
        }
    });
}

thread_local! {
    static KEPT: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

/// A guard that goes with its thread: dropping it must not take the process with it.
#[test]
fn a_blocking_guard_in_a_thread_local() {
    if alone("a_blocking_guard_in_a_thread_local") {
        guard_in_a_thread_local(true);
    }
}

#[test]
fn an_async_guard_in_a_thread_local() {
    if alone("an_async_guard_in_a_thread_local") {
        guard_in_a_thread_local(false);
    }
}

fn guard_in_a_thread_local(blocks: bool) {
    let (callbacks, log) = logger();
    let inside = callbacks.clone();
    let kept = move || {
        KEPT.with_borrow(|_| {});
        let guard: Box<dyn Any> = if blocks {
            Box::new(inside.blocking().tool_start(&TOOL, "x").start().unwrap())
        } else {
            let start = inside.tool_start(&TOOL, "x");
            Box::new(current_thread().block_on(async { start.await }).unwrap())
        };
        KEPT.with_borrow_mut(|kept| kept.push(guard));
    };
    thread::spawn(kept).join().unwrap();
    assert!(callbacks.blocking().flush(LONG).is_complete());
    assert_eq!(log.lines().len(), 2, "{:?}", log.lines());
}

/// A task that a handler spawned may run on the runtime of this crate. Where it blocks, that goes on.
#[test]
fn a_task_of_a_handler_may_block() {
    struct Spawns(Callbacks, mpsc::Sender<Result<(), EmitError>>);

    #[callback_handler]
    impl Spawns {
        async fn on_text(&self) {
            let (callbacks, done) = (self.0.blocking(), self.1.clone());
            tokio::spawn(async move {
                let emitted = callbacks.custom_event("from a task", Value::Null);
                let _ = done.send(emitted);
            });
        }
    }

    within(LONG, || {
        let (done, finished) = mpsc::channel();
        let others = Callbacks::new().with(Sleeps);
        let callbacks = Callbacks::new().with(Spawns(others, done)).blocking();
        let chain = callbacks.chain_start(&CHAIN, Value::Null).start().unwrap();
        chain.text("go").unwrap();
        finished.recv().unwrap().unwrap();
    });
}

fn own_threads() -> Vec<String> {
    // A thread names itself once it runs.
    thread::sleep(Duration::from_millis(50));
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("callbacks")).collect()
}

#[test]
fn where_nobody_listens_no_runtime_is_started() {
    if !alone("where_nobody_listens_no_runtime_is_started") {
        return;
    }
    let callbacks = Callbacks::new().blocking();
    let tool = callbacks.tool_start(&TOOL, "x").start().unwrap();
    tool.text("x").unwrap();
    tool.custom_event("x", Value::Null).unwrap();
    tool.end(Value::Null).unwrap();
    drop(callbacks.llm_start(&MODEL, prompts).start().unwrap());
    assert_eq!(own_threads(), [""; 0], "start, emissions, end, drop");
    let refund = Refund {
        item: "tea",
        cents: 1,
    };
    let tool = callbacks.tool_start(&TOOL, "x").start().unwrap();
    let _ = tool.ask(refund).unwrap();
    assert_eq!(own_threads(), [""; 0], "ask");
    let _ = callbacks.ask(refund).unwrap();
    assert_eq!(own_threads(), [""; 0], "Callbacks::ask");
    let _ = callbacks.flush(LONG);
    assert_eq!(own_threads(), [""; 0], "flush");
}

/// Plain methods need no runtime.
#[test]
fn plain_methods_need_no_runtime() {
    if !alone("plain_methods_need_no_runtime") {
        return;
    }
    let (callbacks, _) = logger();
    let callbacks = callbacks.blocking();
    let tool = callbacks.tool_start(&TOOL, "x").start().unwrap();
    tool.end(Value::Null).unwrap();
    assert_eq!(own_threads(), [""; 0]);
}

/// A run that nobody listens to, whose id was asked for.
#[test]
fn the_end_of_an_unheard_run_needs_no_runtime() {
    if !alone("the_end_of_an_unheard_run_needs_no_runtime") {
        return;
    }
    let tool = Callbacks::new()
        .blocking()
        .tool_start(&TOOL, "x")
        .start()
        .unwrap();
    let _ = tool.id();
    tool.end(Value::Null).unwrap();
    assert_eq!(own_threads(), [""; 0]);
}

#[test]
fn a_payload_that_panics_leaves_the_thread_as_it_was() {
    struct Lanes(Mutex<Vec<Option<String>>>);

    #[callback_handler]
    impl Lanes {
        fn on_custom_event(&self) {
            let name = thread::current().name().map(str::to_owned);
            self.0.lock().unwrap().push(name);
        }
    }

    let lanes = Arc::new(Lanes(Mutex::default()));
    let callbacks = Callbacks::new().with(lanes.clone());
    for _ in 0..3 {
        let panics = || -> Value { panic!("in a payload") };
        let blocks = || callbacks.blocking().custom_event("x", panics);
        assert!(catch_unwind(AssertUnwindSafe(blocks)).is_err());
        let awaits = || futures_executor::block_on(callbacks.custom_event("x", Value::Null));
        awaits().unwrap();
    }
    let lane = Some("callbacks-lane".to_owned());
    assert_eq!(*lanes.0.lock().unwrap(), [lane.clone(), lane.clone(), lane]);
}

#[test]
fn a_payload_may_block_itself() {
    let does = || {
        let (callbacks, log) = logger();
        let callbacks = callbacks.with(Sleeps).blocking();
        let inner = callbacks.clone();
        let payload = move || {
            inner.custom_event("inner", Value::Null).unwrap();
            json!(1)
        };
        callbacks.custom_event("outer", payload).unwrap();
        let lines: Vec<_> = log
            .lines()
            .iter()
            .map(|line| line.contains("inner"))
            .collect();
        assert_eq!(lines, [true, false]);
    };
    within(LONG, does);
    within(LONG, move || current_thread().block_on(async { does() }));
    within(LONG, move || {
        multi_thread(1).block_on(async { tokio::spawn(async move { does() }).await.unwrap() });
    });
}

/// Blocking where a panic unwinds, with handlers that panic, too.
#[test]
fn a_thread_that_unwinds_may_block() {
    if !alone("a_thread_that_unwinds_may_block") {
        return;
    }
    struct EndsOnDrop<'c>(&'c BlockingCallbacks);

    impl Drop for EndsOnDrop<'_> {
        fn drop(&mut self) {
            let run = self.0.tool_start(&TOOL, "x").start().unwrap();
            run.end(Value::Null).unwrap();
            let run = self.0.tool_start(&TOOL, "y").start().unwrap();
            drop(run);
        }
    }

    let does = || {
        let (callbacks, log) = logger();
        let callbacks = callbacks
            .with(Faulty::panic("a handler"))
            .with(Sleeps)
            .blocking();
        let unwinds = || {
            let _ends = EndsOnDrop(&callbacks);
            panic!("unwinding");
        };
        assert!(catch_unwind(AssertUnwindSafe(unwinds)).is_err());
        let _ = callbacks.flush(LONG);
        let lines = log.lines();
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert!(lines[3].contains("Panicked"), "{lines:?}");
    };
    does();
    current_thread().block_on(async { does() });
    multi_thread(1).block_on(async { tokio::spawn(async move { does() }).await.unwrap() });
}

/// A runtime shuts down while threads beside it block. (Where a worker begins to block at that moment,
/// tokio forgets what the worker was to do, and timers stop for ever.)
#[test]
fn a_runtime_shuts_down_while_threads_block() {
    struct Forever;

    #[callback_handler]
    impl Forever {
        async fn on_custom_event(&self) {
            tokio::spawn(std::future::pending::<()>()).await.unwrap();
        }

        async fn on_text(&self) {
            tokio::time::sleep(Duration::from_secs(3600)).await;
        }
    }

    for workers in 1..3 {
        for _ in 0..20 {
            let runtime = multi_thread(workers);
            let callbacks = Callbacks::new().with(Forever).blocking();
            let (sender, done) = mpsc::channel();
            let started = Arc::new(AtomicUsize::new(0));
            for sort in 0..4 {
                let (callbacks, sender, started) =
                    (callbacks.clone(), sender.clone(), started.clone());
                let does = move || {
                    started.fetch_add(1, Ordering::SeqCst);
                    let chain = callbacks.chain_start(&CHAIN, Value::Null).start().unwrap();
                    let emitted = if sort % 2 == 0 {
                        chain.custom_event("x", Value::Null)
                    } else {
                        chain.text("x")
                    };
                    sender.send(emitted).unwrap();
                };
                drop(runtime.spawn_blocking(does));
            }
            while started.load(Ordering::SeqCst) < 4 {
                thread::yield_now();
            }
            runtime.shutdown_background();
            for _ in 0..4 {
                done.recv_timeout(LONG).expect("it hangs").unwrap();
            }
        }
    }
}

/// On a thread that has entered a runtime which is gone.
#[test]
fn a_runtime_that_is_gone() {
    let runtime = multi_thread(1);
    let handle = runtime.handle().clone();
    drop(runtime);
    let _entered = handle.enter();
    let (callbacks, log) = logger();
    let sleeps = handler(Sleeps)
        .timeout(Duration::from_secs(1))
        .named("sleeps");
    let callbacks = callbacks.with(sleeps).blocking();
    callbacks.custom_event("x", Value::Null).unwrap();
    drop(callbacks.tool_start(&TOOL, "x").start().unwrap());
    assert!(callbacks.flush(LONG).is_complete());
    assert_eq!(log.lines().len(), 3, "{:?}", log.lines());
}

/// A wake from elsewhere, at every moment, in every place.
#[test]
fn no_wake_is_lost() {
    struct Elsewhere(Mutex<mpsc::Sender<oneshot::Sender<()>>>);

    #[callback_handler]
    impl Elsewhere {
        async fn on_custom_event(&self) {
            let (sender, receiver) = oneshot::channel();
            self.0.lock().unwrap().send(sender).unwrap();
            receiver.await.unwrap();
        }
    }

    let (requests, served) = mpsc::channel::<oneshot::Sender<()>>();
    thread::spawn(move || {
        for (number, sender) in served.into_iter().enumerate() {
            for _ in 0..number % 50 {
                std::hint::spin_loop();
            }
            let _ = sender.send(());
        }
    });
    let callbacks = Callbacks::new()
        .with(Elsewhere(Mutex::new(requests)))
        .blocking();
    let does = move || {
        for _ in 0..2000 {
            callbacks.custom_event("x", Value::Null).unwrap();
        }
    };
    let one = does.clone();
    within(LONG, one);
    let one = does.clone();
    within(LONG, move || current_thread().block_on(async { one() }));
    let one = does.clone();
    within(LONG, move || futures_executor::block_on(async { one() }));
    within(LONG, move || {
        multi_thread(1).block_on(async { tokio::spawn(async move { does() }).await.unwrap() });
    });
}
