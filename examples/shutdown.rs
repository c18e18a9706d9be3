//! Ctrl-C: the run that is under way ends, and handlers get what is on its way to them, before the process leaves.
//! Whoever asks again does not want to wait.
//!
//! ```sh
//! cargo run --example shutdown --features ctrl-c
//! ```

use std::process::ExitCode;
use std::time::Duration;

use callbacks::{Callbacks, Queue, Run, RunError, callback_handler, handler};
use callbacks_examples::ChatOpenAi;
use tokio::signal::ctrl_c;

/// How long the process waits for handlers.
const PATIENCE: Duration = Duration::from_secs(5);

/// A log that nobody waits for, but at the end.
struct Audit;

#[callback_handler]
impl Audit {
    fn on_llm_new_token(&self, token: &str) {
        println!("{token:?}");
    }

    fn on_llm_error(&self, error: &RunError, run: &Run<'_>) {
        println!("{} ended: {}", run.name(), error.kind);
    }
}

// What is said here goes to standard error: a handler that hangs while it writes has the lock of standard output.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let audit = handler(Audit)
        .background(Queue::bounded(1024))
        .named("audit");
    let callbacks = Callbacks::new().with(audit);
    let chat = ChatOpenAi::new()
        .streaming(true)
        .callbacks(callbacks.clone());
    let jokes = async {
        eprintln!("Ctrl-C ends it");
        while chat.invoke("Tell me a joke").await.is_ok() {}
    };
    // Whichever is not first is dropped, and with it the guard of its run.
    tokio::select! {
        biased;
        interrupted = ctrl_c() => {
            if let Err(error) = interrupted {
                eprintln!("Ctrl-C cannot be heard: {error}");
            }
        }
        () = jokes => {}
    }
    let told = async {
        eprintln!("Ctrl-C again ends it at once");
        callbacks.flush(PATIENCE).await
    };
    tokio::select! {
        biased;
        _ = ctrl_c() => eprintln!("ended at once"),
        report = told => {
            if report.is_complete() {
                eprintln!("all is told");
                return ExitCode::SUCCESS;
            }
            eprintln!("not told: {report:?}");
        }
    }
    ExitCode::FAILURE
}
