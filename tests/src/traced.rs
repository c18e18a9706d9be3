//! What is said through `tracing`, as lines in words of the test's own.

use std::sync::OnceLock;

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::Log;

/// How an event reads, if it is worth a line.
pub type Line = fn(&Event<'_>) -> Option<String>;

/// What is said from now on, on any thread: lanes have threads of their own. A process has one
/// such log, with the lines of its first caller.
///
/// # Panics
///
/// If somebody else listens.
pub fn traced(line: Line) -> &'static Log {
    static LOG: OnceLock<Log> = OnceLock::new();
    LOG.get_or_init(|| {
        let log = Log::new();
        let lines = Lines(log.clone(), line);
        tracing::subscriber::set_global_default(lines).expect("nobody else listens");
        log
    })
}

/// What is said meanwhile, on this thread.
pub fn traced_meanwhile(line: Line, run: impl FnOnce()) -> Vec<String> {
    let log = Log::new();
    tracing::subscriber::with_default(Lines(log.clone(), line), run);
    log.lines()
}

/// Hears events, and nothing of spans.
struct Lines(Log, Line);

impl Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        if let Some(line) = (self.1)(event) {
            self.0.add(line);
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
