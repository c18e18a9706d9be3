//! The blocking flavour: sync methods on the caller's thread, async ones driven to their end, wherever
//! the thread is: without a runtime, or within one of either kind, on its own threads or beside them.

mod alike;
mod flavours;
mod lanes;
mod methods;
mod others;
mod own_thread;
mod places;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use callbacks::{BlockingCallbacks, EmitError, LlmResult, callback_handler};
use callbacks_tests::{MODEL, prompts};
use tokio::runtime::{Builder, Runtime};
use tokio::task::spawn_blocking;

const LONG: Duration = Duration::from_secs(20);

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
