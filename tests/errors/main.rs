//! Rule 5: errors, panics and handlers that take too long. They are logged once, stop nobody, and
//! reach the emitter only where that was asked for.

mod hostile;
mod logged;
mod raised;
mod timers;
mod too_long;

use std::error::Error;
use std::fmt::{Debug, Write as _};

use callbacks::{LlmRun, callback_handler};
use callbacks_tests::{Log, traced};
use tracing::field::{Field, Visit};

/// A failure, as it is logged.
struct Failure(String);

impl Visit for Failure {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if ["handler", "method", "run", "error"].contains(&field.name()) {
            write!(self.0, "{}={value:?} ", field.name()).unwrap();
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        write!(self.0, "{}={value} ", field.name()).unwrap();
    }
}

/// Begins to listen.
fn failures() -> &'static Log {
    traced(|event| {
        let mut failure = Failure(String::new());
        event.record(&mut failure);
        Some(failure.0.trim_end().to_owned())
    })
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
