//! A process that leaves while handlers are busy: how, it is told by its argument. Each entry of a handler that
//! never returns is a line of its output.

use std::env;
use std::process::{self, ExitCode};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use callbacks::{Callbacks, Queue, callback_handler, handler};
use callbacks_tests::{TOOL, start};
use tokio::runtime::{Builder, Runtime};

/// How long a flush may take, where handlers never return.
const SHORT: Duration = Duration::from_millis(100);
/// What a process says that was told to leave.
const CODE: u8 = 7;

fn main() -> ExitCode {
    let case = env::args().nth(1);
    match case.as_deref() {
        Some("main returns") => main_returns(),
        Some("the runtime is dropped") => the_runtime_is_dropped(),
        Some("a task leaves") => a_task_leaves(),
        Some("a handler leaves") => a_handler_leaves(),
        Some("a flush is given up") => a_flush_is_given_up(),
        Some("a timeout is reached") => a_timeout_is_reached(),
        Some("it is interrupted") => it_is_interrupted(),
        other => {
            eprintln!("there is no such case: {other:?}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::from(CODE)
}

/// Its plain method never returns, and its async one never is ready.
struct Stuck {
    name: &'static str,
    entered: mpsc::Sender<()>,
}

#[callback_handler]
impl Stuck {
    fn on_llm_new_token(&self, token: &str) {
        println!("{}: {token}", self.name);
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

/// Has a handler stuck on its lane, one in the background, where more is queued, and emissions that wait for ever.
fn stuck(runtime: &Runtime) -> Callbacks {
    let (entered, inside) = mpsc::channel();
    let waits = Stuck {
        name: "waited for",
        entered: entered.clone(),
    };
    let queued = Stuck {
        name: "queued",
        entered,
    };
    let callbacks = Callbacks::new()
        .with(waits)
        .with(handler(queued).background(Queue::bounded(8)));
    let emitter = callbacks.clone();
    runtime.spawn(async move {
        let run = start(&emitter).await;
        tokio::join!(
            run.new_token("Why"),
            run.text("not"),
            run.new_token("and this is told nobody"),
        )
    });
    for _ in 0..2 {
        inside.recv().expect("both are entered");
    }
    callbacks
}

/// With all of it as it is.
fn main_returns() {
    let runtime = runtime();
    std::mem::forget(stuck(&runtime));
    std::mem::forget(runtime);
}

fn the_runtime_is_dropped() {
    let runtime = runtime();
    let callbacks = stuck(&runtime);
    drop(runtime);
    drop(callbacks);
}

fn a_task_leaves() {
    let runtime = runtime();
    let _callbacks = stuck(&runtime);
    let left = runtime.spawn(async { process::exit(CODE.into()) });
    runtime.block_on(left).expect("it has left");
}

/// From the thread of a lane.
fn a_handler_leaves() {
    struct Leaves;

    #[callback_handler]
    impl Leaves {
        fn on_tool_start(&self) {
            process::exit(CODE.into());
        }
    }

    let runtime = runtime();
    let callbacks = stuck(&runtime).with(Leaves);
    let start = callbacks.tool_start(&TOOL, "");
    drop(runtime.block_on(start.into_future()));
    panic!("it has not left");
}

fn a_flush_is_given_up() {
    let runtime = runtime();
    let callbacks = stuck(&runtime);
    let report = runtime.block_on(callbacks.flush(SHORT));
    assert!(!report.is_complete(), "{report:?}");
    drop(runtime);
    // Without a runtime, too.
    let report = futures_executor::block_on(callbacks.flush(SHORT));
    assert!(!report.is_complete(), "{report:?}");
}

/// The emission goes on, the thread of the method does not come back.
fn a_timeout_is_reached() {
    let runtime = runtime();
    let (entered, _inside) = mpsc::channel();
    let late = Stuck {
        name: "late",
        entered,
    };
    let callbacks = Callbacks::new().with(handler(late).timeout(SHORT));
    runtime.block_on(async {
        let run = start(&callbacks).await;
        run.new_token("Why").await.expect("errors are not raised");
        run.text("not").await.expect("errors are not raised");
    });
    drop(runtime);
}

/// By the system, for nobody listens.
fn it_is_interrupted() {
    let runtime = runtime();
    let _callbacks = stuck(&runtime);
    println!("ready");
    loop {
        thread::park();
    }
}
