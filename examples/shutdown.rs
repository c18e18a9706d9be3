//! Ctrl-C: the run that is under way ends, and handlers get what is on its way to them, before the process leaves.
//!
//! ```sh
//! cargo run --example shutdown --features ctrl-c
//! ```

use std::process::ExitCode;
use std::time::Duration;

use callbacks::{Callbacks, Queue, Run, RunError, callback_handler, handler};
use callbacks_examples::ChatOpenAi;

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

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let audit = handler(Audit)
        .background(Queue::bounded(1024))
        .named("audit");
    let callbacks = Callbacks::new().with(audit);
    let chat = ChatOpenAi::new()
        .streaming(true)
        .callbacks(callbacks.clone());
    let jokes = async { while chat.invoke("Tell me a joke").await.is_ok() {} };
    // Whichever is not first is dropped, and with it the guard of its run.
    tokio::select! {
        () = jokes => {}
        interrupted = tokio::signal::ctrl_c() => {
            if let Err(error) = interrupted {
                eprintln!("Ctrl-C cannot be heard: {error}");
            }
        }
    }
    let report = callbacks.flush(PATIENCE).await;
    if report.is_complete() {
        println!("all is told");
        return ExitCode::SUCCESS;
    }
    println!("not told: {report:?}");
    ExitCode::FAILURE
}
