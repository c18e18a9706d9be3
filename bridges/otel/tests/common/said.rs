//! What the crate says through `tracing`.

use std::fmt::Write;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// What this crate says through `tracing`: its level, and all that is in it.
#[derive(Clone, Default)]
pub struct Said(pub Arc<Mutex<Vec<(Level, String)>>>);

impl Said {
    pub fn levels(&self) -> Vec<Level> {
        self.0.lock().unwrap().iter().map(|said| said.0).collect()
    }
}

impl Subscriber for Said {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("callbacks_otel")
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        struct Text(String);
        impl Visit for Text {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                let _ = write!(self.0, "{field}={value:?} ");
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        let said = (*event.metadata().level(), text.0);
        self.0.lock().unwrap().push(said);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}
