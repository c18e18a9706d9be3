//! Runs are told apart by what they are, and not by their ids, which are the emitter's.

mod common;

use std::sync::Arc;
use std::time::Duration;

use callbacks::{
    Callbacks, Chunk, EmitError, LlmOutput, LlmResult, ModelParams, RunError, RunId, RunKind,
    Serialized, TokenUsage, handler,
};
use callbacks_otel::{Otel, names};
use common::{fixture, table};
use opentelemetry::trace::{SpanId, TraceContextExt};
use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics, HistogramDataPoint, MetricData, ResourceMetrics,
};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use serde_json::json;
use tokio::sync::Barrier;

static WHO: Serialized = Serialized::new("who");

fn one() -> RunId {
    RunId::from(1)
}

#[tokio::test]
async fn runs_that_share_an_id_have_spans_of_their_own() {
    let fixture = fixture();
    let inputs = json!(1);
    let chain = |name| fixture.callbacks.chain_start(&WHO, &inputs).name(name);
    let a = chain("a").id(one()).await.unwrap();
    let b = chain("b").id(one()).await.unwrap();
    assert_eq!(fixture.otel.open_runs(), 2);
    let tool = a.callbacks().tool_start(&WHO, "").id(one()).name("in a");
    let in_a = tool.await.unwrap();
    let tool = b.callbacks().tool_start(&WHO, "").id(one()).name("in b");
    let in_b = tool.await.unwrap();
    let ids = [a.info(), b.info(), in_a.info(), in_b.info()].map(|run| {
        let context = fixture.otel.context(run).unwrap();
        context.span().span_context().span_id()
    });

    // In no order.
    in_a.end(&json!(1)).await.unwrap();
    b.error(RunError::from(std::fmt::Error)).await.unwrap();
    a.end(&inputs).await.unwrap();
    drop(in_b);

    let failed = Some("core::fmt::Error");
    let rows = [
        ("invoke_workflow a", ids[0], SpanId::INVALID, None),
        ("invoke_workflow b", ids[1], SpanId::INVALID, failed),
        ("execute_tool in a", ids[2], ids[0], None),
        ("execute_tool in b", ids[3], ids[1], Some("abandoned")),
    ];
    assert_eq!(fixture.spans().len(), rows.len());
    for (name, id, parent, error) in rows {
        let span = fixture.span(name);
        assert_eq!(span.span_context.span_id(), id, "{name}");
        assert_eq!(span.parent_span_id, parent, "{name}");
        let found = table(&span.attributes).get(names::ERROR_TYPE).cloned();
        assert_eq!(found.as_deref(), error, "{name}");
    }
}

#[tokio::test]
async fn a_run_that_is_not_heard_is_no_hole_in_the_tree() {
    let fixture = fixture();
    let inputs = json!(1);
    let outer = fixture.callbacks.chain_start(&WHO, &inputs).name("outer");
    let outer = outer.await.unwrap();
    // Heard from here on only.
    let unheard = Callbacks::new().chain_start(&WHO, &inputs).await.unwrap();
    let inside = unheard.callbacks().merge(&fixture.callbacks);
    let step = inside.chain_start(&WHO, &inputs).name("step");
    let step = step.await.unwrap();
    let tool = step.callbacks().tool_start(&WHO, "").await.unwrap();
    assert!(fixture.otel.context(unheard.info()).is_none());
    let open = fixture.otel.open_runs();
    unheard.end(&inputs).await.unwrap();
    // What was in it is abandoned with it, and nothing else.
    assert_eq!((open, fixture.otel.open_runs()), (3, 1));
    drop(tool);
    outer.end(&inputs).await.unwrap();
    let step = fixture.span("step");
    let tool = fixture.span("execute_tool who");
    assert_eq!(step.parent_span_id, SpanId::INVALID);
    assert_eq!(tool.parent_span_id, step.span_context.span_id());
}

#[tokio::test]
async fn a_clone_is_the_same_handler() {
    let fixture = fixture();
    let otel = &fixture.otel;
    // On lanes, two handlers would race to be the first.
    let callbacks = Callbacks::new().with(otel.clone()).with(otel.clone());
    let run = callbacks.tool_start(&WHO, "").await.unwrap();
    run.end(&json!(1)).await.unwrap();
    let report = callbacks.flush(Duration::from_secs(60)).await;
    let names: Vec<_> = report.handlers.iter().map(|one| &*one.name).collect();
    assert_eq!(names, ["callbacks_otel::Otel"]);
    assert_eq!(fixture.spans().len(), 1);
}

#[tokio::test]
async fn of_two_parents_the_first_that_is_registered_holds() {
    let fixture = fixture();
    let elsewhere = fixture.otel.under(opentelemetry::Context::new());
    let callbacks = fixture.callbacks.with(handler(elsewhere).inline());
    let run = callbacks.tool_start(&WHO, "").await.unwrap();
    run.end(&json!(1)).await.unwrap();
    assert_eq!(fixture.spans().len(), 1);
}

const AGENTS: usize = 4;
const PIECES: u64 = 5;

/// All with the same ids: what each used is its own, and so are the pieces of its answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn agents_at_the_same_time_do_not_mix() {
    let spans = InMemorySpanExporter::default();
    let tracers = SdkTracerProvider::builder()
        .with_simple_exporter(spans.clone())
        .build();
    let metrics = InMemoryMetricExporter::default();
    let reader = PeriodicReader::builder(metrics.clone()).build();
    let meters = SdkMeterProvider::builder().with_reader(reader).build();
    let otel = Otel::builder()
        .tracer_provider(&tracers)
        .meter_provider(&meters)
        .build();
    let callbacks = Callbacks::new().with(handler(otel.clone()).inline());
    let together = Arc::new(Barrier::new(AGENTS));
    let agents = (0..AGENTS).map(|number| {
        let (callbacks, together) = (callbacks.clone(), together.clone());
        tokio::spawn(async move { agent(&callbacks, &together, number).await.unwrap() })
    });
    for agent in agents.collect::<Vec<_>>() {
        agent.await.unwrap();
    }
    assert_eq!(otel.open_runs(), 0);

    let spans = spans.get_finished_spans().unwrap();
    assert_eq!(spans.len(), AGENTS * 2);
    for number in 0..AGENTS {
        let find = |name: String| spans.iter().find(|span| span.name == name).unwrap();
        let agent = find(format!("invoke_agent {number}"));
        let model = find(format!("text_completion {number}"));
        assert_eq!(model.parent_span_id, agent.span_context.span_id());
        for span in [agent, model] {
            let used = &table(&span.attributes)[names::GEN_AI_USAGE_INPUT_TOKENS];
            assert_eq!(*used, number.to_string());
        }
    }
    meters.force_flush().unwrap();
    let name = names::GEN_AI_CLIENT_OPERATION_TIME_PER_OUTPUT_CHUNK;
    assert_eq!(counts(&metrics, name), [PIECES - 1; AGENTS]);
}

async fn agent(callbacks: &Callbacks, together: &Barrier, number: usize) -> Result<(), EmitError> {
    let name = number.to_string();
    let agent = callbacks.chain_start(&WHO, json!(1)).kind(RunKind::Agent);
    let agent = agent.id(one()).name(name.clone()).await?;
    together.wait().await;
    let params = ModelParams::new().with_model(name);
    let model = agent.callbacks().llm_start(&WHO, || vec![String::new()]);
    let model = model.params(&params).id(one()).await?;
    together.wait().await;
    for _ in 0..PIECES {
        model.new_chunk(Chunk::text("piece")).await?;
    }
    together.wait().await;
    let usage = TokenUsage::new().with_input_tokens(number as u64);
    let output = LlmOutput::new().with_token_usage(usage);
    let result = LlmResult::from_text("").with_llm_output(output);
    model.end(&result).await?;
    together.wait().await;
    agent.end(&json!(1)).await
}

/// How often each point of a histogram was recorded.
fn counts(metrics: &InMemoryMetricExporter, name: &str) -> Vec<u64> {
    let exported = metrics.get_finished_metrics().unwrap();
    let mut counts = Vec::new();
    for scope in exported.iter().flat_map(ResourceMetrics::scope_metrics) {
        for metric in scope.metrics().filter(|metric| metric.name() == name) {
            let AggregatedMetrics::F64(MetricData::Histogram(histogram)) = metric.data() else {
                panic!("{metric:?}");
            };
            counts.extend(histogram.data_points().map(HistogramDataPoint::count));
        }
    }
    counts
}
