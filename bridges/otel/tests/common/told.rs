//! A handler whose spans and events are kept in memory, and runs full of secrets.

use std::collections::BTreeMap;

use callbacks::{
    Callbacks, Chunk, Document, EmitError, LlmResult, Message, ModelParams, RunError, RunKind,
    Serialized, handler,
};
use callbacks_otel::{Capture, Otel};
use opentelemetry::logs::{AnyValue, Severity};
use opentelemetry::trace::SpanId;
use opentelemetry_sdk::logs::{InMemoryLogExporter, SdkLoggerProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, Sampler, SdkTracerProvider, SpanData};
use serde_json::{Value, json};

pub static WHO: Serialized = Serialized::new("who");

pub struct Fixture {
    pub callbacks: Callbacks,
    pub spans: InMemorySpanExporter,
    pub logs: InMemoryLogExporter,
}

/// An event: its name, its severity, the span it belongs to, its attributes.
pub type Event = (&'static str, Severity, SpanId, BTreeMap<String, Value>);

pub fn fixture_with(
    sampler: Sampler,
    build: impl FnOnce(callbacks_otel::Builder) -> Otel,
) -> Fixture {
    let (spans, logs) = (
        InMemorySpanExporter::default(),
        InMemoryLogExporter::default(),
    );
    let tracers = SdkTracerProvider::builder()
        .with_simple_exporter(spans.clone())
        .with_sampler(sampler)
        .build();
    let loggers = SdkLoggerProvider::builder()
        .with_simple_exporter(logs.clone())
        .build();
    let builder = Otel::builder().tracer_provider(&tracers);
    let otel = build(builder.logger_provider(&loggers));
    Fixture {
        callbacks: Callbacks::new().with(handler(otel).inline()),
        spans,
        logs,
    }
}

pub fn fixture(capture: Capture) -> Fixture {
    fixture_with(Sampler::AlwaysOn, |builder| {
        builder.capture(capture).build()
    })
}

impl Fixture {
    pub fn span(&self, name: &str) -> SpanData {
        let spans = self.spans.get_finished_spans().unwrap().into_iter();
        spans.into_iter().find(|span| span.name == name).unwrap()
    }

    pub fn events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        for log in self.logs.get_emitted_logs().unwrap() {
            let scope = log.instrumentation.schema_url();
            assert_eq!(scope, Some(callbacks_otel::names::SCHEMA_URL));
            let record = &log.record;
            let attributes = record.attributes_iter();
            let attributes = attributes.map(|(key, value)| (key.to_string(), json_of(value)));
            events.push((
                record.event_name().unwrap(),
                record.severity_number().unwrap(),
                record.trace_context().unwrap().span_id,
                attributes.collect(),
            ));
        }
        events
    }
}

fn json_of(value: &AnyValue) -> Value {
    match value {
        AnyValue::Int(value) => json!(value),
        AnyValue::Double(value) => json!(value),
        AnyValue::String(value) => json!(value.as_str()),
        AnyValue::Boolean(value) => json!(value),
        AnyValue::ListAny(values) => values.iter().map(json_of).collect(),
        AnyValue::Map(fields) => fields
            .iter()
            .map(|(key, value)| (key.to_string(), json_of(value)))
            .collect(),
        other => panic!("{other:?}"),
    }
}

/// Of every kind of run one, full of secrets; of models one that fails, too.
pub async fn everything(callbacks: &Callbacks) -> Result<(), EmitError> {
    let secret = json!({"a": "secret"});
    let params = ModelParams::new()
        .with_model("m")
        .with_tools([json!({"name": "shell", "description": "secret"})]);
    let flow = callbacks.chain_start(&WHO, &secret).name("flow").await?;
    let inside = flow.callbacks();
    let agent = inside.chain_start(&WHO, &secret).kind(RunKind::Agent);
    agent.await?.end(&secret).await?;
    let step = inside.chain_start(&WHO, &secret).name("step").await?;
    step.end(&secret).await?;
    let tool = inside.tool_start(&WHO, "secret").await?;
    tool.end(&secret).await?;
    let search = inside.retriever_start(&WHO, "secret").await?;
    search.end(&[Document::new("secret")]).await?;
    let chat = [Message::system("secret"), Message::human("secret")];
    let model = inside.chat_model_start(&WHO, &chat).params(&params).await?;
    model.new_chunk(Chunk::text("secret")).await?;
    model.end(|| LlmResult::from_text("secret")).await?;
    let model = inside.llm_start(&WHO, || vec!["secret".to_owned()]).await?;
    let partial = LlmResult::from_text("secret");
    let error = RunError::new("secret").with_sources(["secret"]);
    model.error(error).partial(&partial).await?;
    flow.end(&secret).await
}
