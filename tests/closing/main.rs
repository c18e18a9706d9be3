//! Rules 6 and 7, one way at a time: every start has exactly one end, and children close before
//! their parents. All ways at once are in `terminal.rs`.

mod closed;
mod deep;
mod inside;
mod let_go;
mod one_end;

use std::time::Duration;

use callbacks::{LlmResult, RunError, callback_handler};
use callbacks_tests::Log;
use tokio::sync::Notify;

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
