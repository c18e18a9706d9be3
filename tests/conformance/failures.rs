//! The failures of handlers, as this crate logs them through `tracing`.

use std::sync::OnceLock;

use callbacks_tests::Log;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::observer::Boom;

/// Begins to listen. Lanes have threads of their own, so it is for the whole process.
pub(crate) fn listen() -> &'static Log {
    static FAILURES: OnceLock<Log> = OnceLock::new();
    FAILURES.get_or_init(|| {
        let log = Log::new();
        let failures = Failures(log.clone());
        tracing::subscriber::set_global_default(failures).expect("nobody else listens");
        log
    })
}

/// The failures in this run, in LangChain's words.
pub(crate) fn of(run: &str) -> Vec<String> {
    let lines = listen().lines();
    let lines = lines.iter().filter_map(|line| line.strip_prefix(run));
    lines.map(|line| line.trim_start().to_owned()).collect()
}

struct Failures(Log);

impl Subscriber for Failures {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut said = Said::default();
        event.record(&mut said);
        let Said {
            handler,
            method,
            run,
            error,
        } = said;
        self.0.add(format_args!(
            "{run} Error in H_{handler}.{method} callback: {error}"
        ));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Said {
    handler: String,
    method: String,
    run: String,
    error: String,
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "handler" => value.clone_into(&mut self.handler),
            "method" => value.clone_into(&mut self.method),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "run" {
            self.run = format!("{value:?}");
        }
    }

    fn record_error(&mut self, _: &Field, value: &(dyn std::error::Error + 'static)) {
        self.error = match value.downcast_ref() {
            Some(Boom(class, message)) => format!("{class}('{message}')"),
            None => value.to_string(),
        };
    }
}
