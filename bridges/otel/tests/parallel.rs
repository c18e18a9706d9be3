//! Many runs at once, that end in every way: each has its span and its numbers, and none stays open.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use callbacks::{
    Callbacks, LlmOutput, LlmResult, RunError, RunKind, Serialized, TokenUsage, handler,
};
use callbacks_otel::Otel;
use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics, HistogramDataPoint, MetricData, ScopeMetrics,
};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use serde_json::json;
use tokio::sync::Barrier;

static WHO: Serialized = Serialized::new("who");

const TASKS: usize = 8;
const ROUNDS: usize = 8;

/// A model that ends in one of four ways.
async fn model(callbacks: &Callbacks, round: usize) {
    let run = callbacks.llm_start(&WHO, || vec![String::new()]);
    let run = run.await.unwrap();
    for token in ["a", "b", "c"] {
        run.new_token(token).await.unwrap();
    }
    let usage = TokenUsage::new().with_input_tokens(1);
    let output = LlmOutput::new().with_token_usage(usage);
    let answer = LlmResult::from_text("abc").with_llm_output(output);
    match round % 4 {
        0 => run.end(&answer).await.unwrap(),
        1 => {
            let error = run.error(RunError::new("no"));
            error.partial(&answer).await.unwrap();
        }
        2 => drop(run),
        // One that loses.
        _ => tokio::select! {
            biased;
            () = std::future::ready(()) => {}
            ended = run.end(&answer) => ended.unwrap(),
        },
    }
}

/// How many points were recorded of each metric, over all their attributes.
fn counts(exporter: &InMemoryMetricExporter) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for metrics in exporter.get_finished_metrics().unwrap() {
        for metric in metrics.scope_metrics().flat_map(ScopeMetrics::metrics) {
            let count: u64 = match metric.data() {
                AggregatedMetrics::F64(MetricData::Histogram(it)) => {
                    it.data_points().map(HistogramDataPoint::count).sum()
                }
                AggregatedMetrics::U64(MetricData::Histogram(it)) => {
                    it.data_points().map(HistogramDataPoint::count).sum()
                }
                other => panic!("{other:?}"),
            };
            counts.insert(metric.name().to_owned(), count);
        }
    }
    counts
}

async fn agent_with_many_models(inline: bool) {
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
    let callbacks = if inline {
        Callbacks::new().with(handler(otel.clone()).inline())
    } else {
        Callbacks::new().with(otel.clone())
    };
    let inputs = json!(null);
    let agent = callbacks.chain_start(&WHO, &inputs).kind(RunKind::Agent);
    let agent = agent.await.unwrap();
    let start = Arc::new(Barrier::new(TASKS));
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (callbacks, start) = (agent.callbacks().clone(), start.clone());
            tokio::spawn(async move {
                start.wait().await;
                for round in 0..ROUNDS {
                    model(&callbacks, round).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    agent.end(&inputs).await.unwrap();
    let report = callbacks.flush(Duration::from_secs(60)).await;
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(otel.open_runs(), 0);

    let mut spans = spans.get_finished_spans().unwrap();
    let at = spans.iter().position(|it| it.name == "invoke_agent who");
    let agent = spans.remove(at.unwrap());
    let models = TASKS * ROUNDS;
    assert_eq!(spans.len(), models);
    let (mut failed, mut ids) = (0, HashSet::new());
    for span in &spans {
        assert_eq!(span.parent_span_id, agent.span_context.span_id());
        ids.insert(span.span_context.span_id());
        let error = span.attributes.iter();
        failed += error.filter(|it| it.key.as_str() == "error.type").count();
    }
    assert_eq!(ids.len(), models);
    // those of rounds 1, 2 and 3 of 4
    assert_eq!(failed, models * 3 / 4);

    let used = agent.attributes.iter();
    let mut used = used.filter(|it| it.key.as_str() == "gen_ai.usage.input_tokens");
    // What was dropped did not say what it used.
    let answered = models as u64 / 2;
    assert_eq!(used.next().unwrap().value.to_string(), answered.to_string());
    meters.force_flush().unwrap();
    let expected = [
        ("gen_ai.client.operation.duration", models as u64),
        ("gen_ai.client.operation.time_to_first_chunk", models as u64),
        (
            "gen_ai.client.operation.time_per_output_chunk",
            2 * models as u64,
        ),
        ("gen_ai.client.token.usage", answered),
    ];
    let expected = expected.map(|(name, count)| (name.to_owned(), count));
    assert_eq!(counts(&metrics), BTreeMap::from(expected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn models_side_by_side() {
    agent_with_many_models(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn models_side_by_side_on_lanes() {
    agent_with_many_models(false).await;
}
