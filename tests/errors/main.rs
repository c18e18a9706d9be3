//! Rule 5: errors, panics and handlers that take too long. They are logged once, stop nobody, and
//! reach the emitter only where that was asked for.

mod hostile;
mod logged;
mod raised;
mod timers;
mod too_long;

use std::fmt::Write as _;
use std::sync::OnceLock;

use callbacks::{EmitError, LlmRun, Serialized, callback_handler};
use callbacks_tests::Log;

static MODEL: Serialized = Serialized::new("Model");
static CHAIN: Serialized = Serialized::new("Chain");

/// Failures, as they are logged.
struct Failures(Log);

impl tracing::Subscriber for Failures {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Line(String);

        impl tracing::field::Visit for Line {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                if ["handler", "method", "run", "error"].contains(&field.name()) {
                    write!(self.0, "{}={value:?} ", field.name()).unwrap();
                }
            }

            fn record_error(
                &mut self,
                field: &tracing::field::Field,
                value: &(dyn std::error::Error + 'static),
            ) {
                write!(self.0, "{}={value} ", field.name()).unwrap();
            }
        }

        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.add(line.0.trim_end());
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
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

/// Lanes have threads of their own, so the subscriber is that of the process.
fn failures() -> &'static Log {
    static FAILURES: OnceLock<Log> = OnceLock::new();
    FAILURES.get_or_init(|| {
        let log = Log::new();
        tracing::subscriber::set_global_default(Failures(log.clone())).unwrap();
        log
    })
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

/// What was raised: the handler, its method, the error.
fn raised(result: Result<(), EmitError>) -> (String, &'static str, String) {
    match result {
        Err(EmitError::Raised {
            handler,
            event,
            source,
        }) => (handler, event, source.to_string()),
        other => panic!("{other:?}"),
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
