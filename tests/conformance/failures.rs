//! The failures of handlers, as this crate logs them through `tracing`.

use callbacks_tests::{Log, traced};
use tracing::field::{Field, Visit};

use crate::observer::Boom;

/// Begins to listen.
pub(crate) fn listen() -> &'static Log {
    traced(|event| {
        let mut said = Said::default();
        event.record(&mut said);
        let Said {
            handler,
            method,
            run,
            error,
        } = said;
        Some(format!(
            "{run} Error in H_{handler}.{method} callback: {error}"
        ))
    })
}

/// The failures in this run, in LangChain's words.
pub(crate) fn of(run: &str) -> Vec<String> {
    let lines = listen().lines();
    let lines = lines.iter().filter_map(|line| line.strip_prefix(run));
    lines.map(|line| line.trim_start().to_owned()).collect()
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
