//! A process that leaves while handlers are busy leaves, whatever they do.
//!
//! Each case runs in a process of its own: this test again, told which case by a variable.

use std::env;
use std::process::{self, Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use callbacks::{Callbacks, Queue, Serialized, callback_handler, handler};
use callbacks_tests::start;
use tokio::runtime::{Builder, Runtime};

static TOOL: Serialized = Serialized::new("Tool");

/// Which case a process is to play.
const CASE: &str = "CALLBACKS_TESTS_SHUTDOWN";
/// How long a flush may take, where handlers never return.
const SHORT: Duration = Duration::from_millis(100);
/// A process that is still there after this hangs.
const LONG: Duration = Duration::from_secs(60);
/// What a process says with its exit code that was told to leave.
const CODE: i32 = 7;

type Case = (&'static str, fn() -> i32);

const CASES: [Case; 6] = [
    ("main returns", main_returns),
    ("the runtime is dropped", the_runtime_is_dropped),
    ("a task leaves", a_task_leaves),
    ("a handler leaves", a_handler_leaves),
    ("a flush is given up", a_flush_is_given_up),
    ("a timeout is reached", a_timeout_is_reached),
];

#[test]
fn processes_leave() {
    if let Ok(case) = env::var(CASE) {
        let case = CASES.iter().find(|(name, _)| *name == case);
        let (_, play) = case.expect("there is such a case");
        process::exit(play());
    }
    for (name, _) in CASES {
        let this = env::current_exe().expect("this is a program");
        let left = Command::new(this)
            .args(["--exact", "processes_leave", "--nocapture"])
            .env(CASE, name)
            .stdout(Stdio::null())
            .spawn()
            .map(in_time);
        let status = left.expect("a process can be started");
        assert_eq!(status.and_then(|it| it.code()), Some(CODE), "{name}");
    }
}

/// `None` if it hangs.
fn in_time(mut process: Child) -> Option<ExitStatus> {
    let begin = Instant::now();
    while begin.elapsed() < LONG {
        if let Ok(Some(status)) = process.try_wait() {
            return Some(status);
        }
        thread::sleep(Duration::from_millis(5));
    }
    // It may be gone by now.
    let _ = process.kill();
    None
}

/// Its plain method never returns, and its async one never is ready.
struct Stuck {
    entered: mpsc::Sender<()>,
}

#[callback_handler]
impl Stuck {
    fn on_llm_new_token(&self) {
        // Whoever waits for it may be gone.
        let _ = self.entered.send(());
        loop {
            thread::park();
        }
    }

    async fn on_text(&self) {
        std::future::pending::<()>().await;
    }
}

fn runtime() -> Runtime {
    let built = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    built.expect("threads can be had")
}

/// Has a handler stuck on its lane, one in the background, and an emission that waits for ever.
fn stuck(runtime: &Runtime) -> Callbacks {
    let (entered, inside) = mpsc::channel();
    let queued = Stuck {
        entered: entered.clone(),
    };
    let callbacks = Callbacks::new()
        .with(Stuck { entered })
        .with(handler(queued).background(Queue::bounded(8)));
    let emitter = callbacks.clone();
    runtime.spawn(async move {
        let run = start(&emitter).await;
        tokio::join!(run.new_token("Why"), run.text("not"), run.text("?"))
    });
    for _ in 0..2 {
        inside.recv().expect("both are entered");
    }
    callbacks
}

/// A process whose `main` returns ends by `exit`, as here.
fn main_returns() -> i32 {
    let runtime = runtime();
    std::mem::forget(stuck(&runtime));
    std::mem::forget(runtime);
    CODE
}

fn the_runtime_is_dropped() -> i32 {
    let runtime = runtime();
    let callbacks = stuck(&runtime);
    drop(runtime);
    drop(callbacks);
    CODE
}

fn a_task_leaves() -> i32 {
    let runtime = runtime();
    let _callbacks = stuck(&runtime);
    let left = runtime.spawn(async { process::exit(CODE) });
    runtime.block_on(left).expect("it has left")
}

/// From the thread of a lane.
fn a_handler_leaves() -> i32 {
    struct Leaves;

    #[callback_handler]
    impl Leaves {
        fn on_tool_start(&self) {
            process::exit(CODE);
        }
    }

    let runtime = runtime();
    let callbacks = stuck(&runtime).with(Leaves);
    let start = callbacks.tool_start(&TOOL, "");
    let started = runtime.block_on(start.into_future());
    drop(started);
    0
}

fn a_flush_is_given_up() -> i32 {
    let runtime = runtime();
    let callbacks = stuck(&runtime);
    let report = runtime.block_on(callbacks.flush(SHORT));
    assert!(!report.is_complete(), "{report:?}");
    drop(runtime);
    // Without a runtime, too.
    let report = futures_executor::block_on(callbacks.flush(SHORT));
    assert!(!report.is_complete(), "{report:?}");
    CODE
}

/// The emission goes on, the thread of the method does not come back.
fn a_timeout_is_reached() -> i32 {
    let runtime = runtime();
    let (entered, _inside) = mpsc::channel();
    let callbacks = Callbacks::new().with(handler(Stuck { entered }).timeout(SHORT));
    runtime.block_on(async {
        let run = start(&callbacks).await;
        run.new_token("Why").await.expect("errors are not raised");
        run.text("not").await.expect("errors are not raised");
    });
    drop(runtime);
    CODE
}
