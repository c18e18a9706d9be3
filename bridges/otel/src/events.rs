//! Events: log records with a name, where content is structured as spans cannot have it.

use std::time::SystemTime;

use opentelemetry::logs::{AnyValue, LogRecord, Logger, Severity};
use opentelemetry::trace::SpanContext;
use opentelemetry::{Array, Key, KeyValue, StringValue, Value};
use serde_json::Value as Json;

use crate::capture::Content;
use crate::names;

/// An event that is about to be emitted.
pub(crate) struct Event {
    pub(crate) name: &'static str,
    pub(crate) severity: Severity,
    pub(crate) time: SystemTime,
    /// That it belongs to.
    pub(crate) span: SpanContext,
    pub(crate) attributes: Vec<(Key, AnyValue)>,
}

/// Of an error that a call ended with; what it says is content.
pub(crate) const FAILED: (&str, Severity) =
    (names::GEN_AI_CLIENT_OPERATION_EXCEPTION, Severity::Warn);
/// All about a call of a model.
pub(crate) const DETAILS: (&str, Severity) = (
    names::GEN_AI_CLIENT_INFERENCE_OPERATION_DETAILS,
    Severity::Debug,
);

/// What the event about a call will say, as far as it is known at the start.
#[derive(Default)]
pub(crate) struct Details {
    pub(crate) attributes: Vec<KeyValue>,
    pub(crate) content: Content,
}

/// A logger of whatever SDK.
pub(crate) trait Events: Send + Sync {
    /// Whether one with this name and severity goes anywhere.
    fn wanted(&self, of: (&'static str, Severity)) -> bool;
    fn emit(&self, event: Event);
}

impl<L: Logger + Send + Sync> Events for L {
    fn wanted(&self, (name, severity): (&'static str, Severity)) -> bool {
        self.event_enabled(severity, env!("CARGO_PKG_NAME"), Some(name))
    }

    fn emit(&self, event: Event) {
        let span = event.span;
        let mut record = self.create_log_record();
        record.set_event_name(event.name);
        record.set_target(env!("CARGO_PKG_NAME"));
        record.set_timestamp(event.time);
        record.set_severity_number(event.severity);
        record.set_severity_text(event.severity.name());
        record.add_attributes(event.attributes);
        if span.is_valid() {
            let flags = Some(span.trace_flags());
            record.set_trace_context(span.trace_id(), span.span_id(), flags);
        }
        Logger::emit(self, record);
    }
}

/// An attribute of a span, on an event.
pub(crate) fn attribute(pair: &KeyValue) -> (Key, AnyValue) {
    fn list<T: Clone, V: Into<AnyValue>>(values: &[T], one: impl Fn(T) -> V) -> AnyValue {
        values.iter().cloned().map(one).collect()
    }
    let value = match &pair.value {
        Value::Bool(value) => (*value).into(),
        Value::I64(value) => (*value).into(),
        Value::F64(value) => (*value).into(),
        Value::String(value) => value.clone().into(),
        Value::Array(Array::Bool(values)) => list(values, AnyValue::from),
        Value::Array(Array::I64(values)) => list(values, AnyValue::from),
        Value::Array(Array::F64(values)) => list(values, AnyValue::from),
        Value::Array(Array::String(values)) => list::<StringValue, _>(values, AnyValue::from),
        // Of kinds that are not there yet, the text.
        other => other.to_string().into(),
    };
    (pair.key.clone(), value)
}

/// JSON, structured. There is no `null`: a field that has it is left out, and in a list it is a text.
pub(crate) fn structured(json: Json) -> AnyValue {
    match json {
        Json::Null => "null".into(),
        Json::Bool(value) => value.into(),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(value), _) => value.into(),
            (None, Some(value)) => value.into(),
            (None, None) => number.to_string().into(),
        },
        Json::String(text) => text.into(),
        Json::Array(values) => values.into_iter().map(structured).collect(),
        Json::Object(fields) => {
            let fields = fields.into_iter().filter(|(_, value)| !value.is_null());
            let fields = fields.map(|(key, value)| (key, structured(value)));
            fields.collect()
        }
    }
}
