//! A handler whose spans are kept in memory, and their attributes as tables.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "the tests that share it are crates of their own"
)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use callbacks::{Callbacks, Run, callback_handler, handler};
use callbacks_otel::{Builder, Otel};
use opentelemetry::trace::{SpanKind, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{
    InMemorySpanExporter, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample,
    SpanData,
};

/// What a sampler was shown of each span.
#[derive(Clone, Debug, Default)]
pub struct Seen(pub Arc<Mutex<Vec<BTreeMap<String, String>>>>);

impl ShouldSample for Seen {
    fn should_sample(
        &self,
        _parent: Option<&Context>,
        _trace: TraceId,
        _name: &str,
        _kind: &SpanKind,
        attributes: &[KeyValue],
        _links: &[opentelemetry::trace::Link],
    ) -> SamplingResult {
        self.0.lock().unwrap().push(table(attributes));
        SamplingResult {
            decision: SamplingDecision::RecordAndSample,
            attributes: Vec::new(),
            trace_state: TraceState::default(),
        }
    }
}

pub struct Fixture {
    pub otel: Otel,
    pub callbacks: Callbacks,
    exporter: InMemorySpanExporter,
    pub provider: SdkTracerProvider,
    pub seen: Seen,
}

/// Every run takes 1.5 s by the clock of the handler.
pub fn fixture() -> Fixture {
    fixture_with(|builder| builder.provider("local"))
}

pub fn fixture_with(settings: impl FnOnce(Builder) -> Builder) -> Fixture {
    let exporter = InMemorySpanExporter::default();
    let seen = Seen::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .with_sampler(seen.clone())
        .build();
    let started = Started::default();
    let last = started.clone();
    let otel = settings(Otel::builder())
        .tracer_provider(&provider)
        .clock(move || *last.0.lock().unwrap() + Duration::from_millis(1_500))
        .build();
    let callbacks = Callbacks::new()
        .with(handler(started).inline())
        .with(handler(otel.clone()).inline());
    Fixture {
        otel,
        callbacks,
        exporter,
        provider,
        seen,
    }
}

/// When the run that an event is about started.
#[derive(Clone)]
struct Started(Arc<Mutex<SystemTime>>);

impl Default for Started {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(SystemTime::UNIX_EPOCH)))
    }
}

impl Started {
    fn is(&self, run: &Run<'_>) {
        *self.0.lock().unwrap() = run.started_at();
    }
}

#[callback_handler]
impl Started {
    fn on_llm_new_token(&self, run: &Run<'_>) {
        self.is(run);
    }
    fn on_llm_end(&self, run: &Run<'_>) {
        self.is(run);
    }
    fn on_llm_error(&self, run: &Run<'_>) {
        self.is(run);
    }
    fn on_chain_end(&self, run: &Run<'_>) {
        self.is(run);
    }
    fn on_tool_end(&self, run: &Run<'_>) {
        self.is(run);
    }
}

pub fn table(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let pairs = attributes.iter();
    let table: BTreeMap<_, _> = pairs
        .map(|pair| (pair.key.to_string(), pair.value.to_string()))
        .collect();
    assert_eq!(table.len(), attributes.len(), "an attribute is there twice");
    table
}

pub fn expected(rows: &[(&str, &str)]) -> BTreeMap<String, String> {
    let rows = rows.iter();
    rows.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

impl Fixture {
    pub fn spans(&self) -> Vec<SpanData> {
        assert_eq!(self.otel.open_runs(), 0, "a span is left open");
        self.exporter.get_finished_spans().unwrap()
    }

    pub fn span(&self, name: &str) -> SpanData {
        let mut spans = self.spans();
        let at = spans.iter().position(|span| span.name == name);
        let names: Vec<_> = spans.iter().map(|span| span.name.clone()).collect();
        spans.remove(at.unwrap_or_else(|| panic!("no span {name} in {names:?}")))
    }
}
