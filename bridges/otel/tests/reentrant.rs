//! Samplers, clocks and processors are code of users: nothing is locked where they are called.

use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, SystemTime};

use callbacks::{Callbacks, Chunk, LlmResult, RunError, Serialized, handler};
use callbacks_otel::{Capture, Otel};
use opentelemetry::propagation::Injector;
use opentelemetry::trace::{Link, SpanKind, TraceId, TraceState};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord, SdkLoggerProvider};
use opentelemetry_sdk::trace::{
    InMemorySpanExporter, SamplingDecision, SamplingResult, SdkTracerProvider, ShouldSample, Span,
    SpanData, SpanProcessor,
};
use serde_json::json;

static WHO: Serialized = Serialized::new("who");

/// Asks the handler back.
#[derive(Clone, Debug, Default)]
struct Curious(Arc<OnceLock<Otel>>);

impl Curious {
    /// How many runs are open.
    fn asks(&self) -> usize {
        self.0.get().map_or(0, Otel::open_runs)
    }
}

impl ShouldSample for Curious {
    fn should_sample(
        &self,
        _: Option<&Context>,
        _: TraceId,
        _: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        self.asks();
        SamplingResult {
            decision: SamplingDecision::RecordAndSample,
            attributes: Vec::new(),
            trace_state: TraceState::default(),
        }
    }
}

impl SpanProcessor for Curious {
    fn on_start(&self, _: &mut Span, _: &Context) {
        self.asks();
    }
    fn on_end(&self, _: SpanData) {
        self.asks();
    }
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }
    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl LogProcessor for Curious {
    fn emit(&self, _: &mut SdkLogRecord, _: &InstrumentationScope) {
        self.asks();
    }
    fn event_enabled(&self, _: opentelemetry::logs::Severity, _: &str, _: Option<&str>) -> bool {
        self.asks() < usize::MAX
    }
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }
}

/// In a thread of its own: where something is locked, it never comes back.
#[test]
fn users_may_ask_the_handler_wherever_they_are_called() {
    let (done, came_back) = mpsc::channel();
    thread::spawn(move || {
        let curious = Curious::default();
        let tracers = SdkTracerProvider::builder()
            .with_sampler(curious.clone())
            .with_span_processor(curious.clone())
            .build();
        let loggers = SdkLoggerProvider::builder()
            .with_log_processor(curious.clone())
            .build();
        let clock = curious.clone();
        let otel = Otel::builder()
            .tracer_provider(&tracers)
            .logger_provider(&loggers)
            .capture(Capture::SpanAndEvent)
            .clock(move || {
                clock.asks();
                SystemTime::now()
            })
            .build();
        curious.0.set(otel.clone()).unwrap();
        let callbacks = Callbacks::new().with(handler(otel.clone()).inline().raise_errors());
        let callbacks = callbacks.blocking();
        let chain = callbacks.chain_start(&WHO, json!(1)).start().unwrap();
        let start = |_| {
            let model = chain.callbacks().llm_start(&WHO, || vec![String::new()]);
            let model = model.start().unwrap();
            for _ in 0..2 {
                model.new_chunk(Chunk::text("piece")).unwrap();
            }
            model
        };
        let [fine, failed, dropped] = [0, 1, 2].map(start);
        fine.end(|| LlmResult::from_text("")).unwrap();
        failed.error(RunError::new("no route")).unwrap();
        drop(dropped);
        chain.end(json!(1)).unwrap();
        done.send(otel.open_runs()).unwrap();
    });
    let open = came_back.recv_timeout(Duration::from_secs(30));
    assert_eq!(open, Ok(0));
}

/// Starts a run where a span ends, and asks the handler where a header is set.
#[derive(Clone, Debug, Default)]
struct Busy(Curious, Arc<OnceLock<Callbacks>>);

impl SpanProcessor for Busy {
    fn on_start(&self, _: &mut Span, _: &Context) {}
    fn on_end(&self, span: SpanData) {
        if let Some(callbacks) = self.1.get().filter(|_| span.name == "text_completion") {
            // It is put off until the end that this is in has reached everyone.
            let callbacks = callbacks.blocking();
            let tool = callbacks.tool_start(&WHO, "").name("busy");
            drop(tool.start().unwrap());
        }
    }
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }
    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl Injector for Busy {
    fn set(&mut self, _: &str, _: String) {
        assert_eq!(self.0.asks(), 2);
    }
}

#[test]
fn users_may_start_runs_wherever_they_are_called() {
    let (done, came_back) = mpsc::channel();
    thread::spawn(move || {
        let mut busy = Busy::default();
        let spans = InMemorySpanExporter::default();
        let tracers = SdkTracerProvider::builder()
            .with_span_processor(busy.clone())
            .with_simple_exporter(spans.clone())
            .build();
        let otel = Otel::builder().tracer_provider(&tracers).build();
        busy.0.0.set(otel.clone()).unwrap();
        let callbacks = Callbacks::new().with(handler(otel.clone()).inline().raise_errors());
        let callbacks = callbacks.blocking();
        let chain = callbacks.chain_start(&WHO, json!(1)).start().unwrap();
        busy.1.set((**chain.callbacks()).clone()).unwrap();
        let model = chain.callbacks().llm_start(&WHO, || vec![String::new()]);
        let model = model.start().unwrap();
        otel.inject(model.info(), &mut busy);
        model.end(|| LlmResult::from_text("")).unwrap();
        chain.end(json!(1)).unwrap();
        done.send((otel.open_runs(), spans.get_finished_spans().unwrap()))
            .unwrap();
    });
    let (open, spans) = came_back.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!(open, 0);
    let find = |name| spans.iter().find(|span| span.name == name).unwrap();
    let (chain, busy) = (find("invoke_workflow who"), find("execute_tool busy"));
    assert_eq!(busy.parent_span_id, chain.span_context.span_id());
    assert_eq!(spans.len(), 3);
}
