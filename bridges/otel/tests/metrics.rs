//! Calls are measured: how long they took, how many tokens, how long the first piece took.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use callbacks::{
    Callbacks, ErrorKind, LlmOutput, LlmResult, Message, ModelParams, RunError, Serialized,
    TokenUsage, handler,
};
use callbacks_otel::{Builder, Otel};
use opentelemetry::Context;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, HistogramDataPoint, MetricData};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use serde_json::json;

static MODEL: Serialized = Serialized::new("Model");

/// A point of a histogram: its name and unit, its attributes, its count, its sum.
type Point = (String, String, BTreeMap<String, String>, u64, String);

struct Fixture {
    otel: Otel,
    callbacks: Callbacks,
    exporter: InMemoryMetricExporter,
    provider: SdkMeterProvider,
}

/// No span is sampled: metrics are of every call.
fn fixture() -> Fixture {
    fixture_with(|builder| builder)
}

fn fixture_with(settings: impl FnOnce(Builder) -> Builder) -> Fixture {
    let exporter = InMemoryMetricExporter::default();
    let reader = PeriodicReader::builder(exporter.clone()).build();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    let unsampled = SdkTracerProvider::builder()
        .with_sampler(Sampler::AlwaysOff)
        .build();
    let otel = settings(Otel::builder())
        .tracer_provider(&unsampled)
        .meter_provider(&provider)
        .build();
    let callbacks = Callbacks::new().with(handler(otel.clone()).inline());
    Fixture {
        otel,
        callbacks,
        exporter,
        provider,
    }
}

impl Fixture {
    /// In the order of their names and attributes, with the bounds that they were counted by.
    fn points(&self) -> (Vec<Point>, BTreeMap<String, Vec<f64>>) {
        self.provider.force_flush().unwrap();
        let (mut points, mut bounds) = (Vec::new(), BTreeMap::new());
        for metrics in self.exporter.get_finished_metrics().unwrap() {
            for scope in metrics.scope_metrics() {
                assert_eq!(scope.scope().name(), "callbacks-otel");
                let schema = scope.scope().schema_url();
                assert_eq!(schema, Some(callbacks_otel::names::SCHEMA_URL));
                for metric in scope.metrics() {
                    let (name, unit) = (metric.name().to_owned(), metric.unit().to_owned());
                    let mut add = |attributes, count, sum, by: Vec<f64>| {
                        bounds.insert(name.clone(), by);
                        points.push((name.clone(), unit.clone(), attributes, count, sum));
                    };
                    match metric.data() {
                        AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
                            for point in histogram.data_points() {
                                let sum = format!("{:.2}", point.sum());
                                let by = point.bounds().collect();
                                add(attributes(point), point.count(), sum, by);
                            }
                        }
                        AggregatedMetrics::U64(MetricData::Histogram(histogram)) => {
                            for point in histogram.data_points() {
                                let sum = point.sum().to_string();
                                let by = point.bounds().collect();
                                add(attributes(point), point.count(), sum, by);
                            }
                        }
                        other => panic!("no histogram: {other:?}"),
                    }
                }
            }
        }
        points.sort();
        (points, bounds)
    }
}

fn attributes<T>(point: &HistogramDataPoint<T>) -> BTreeMap<String, String> {
    let pairs = point.attributes();
    pairs
        .map(|pair| (pair.key.to_string(), pair.value.to_string()))
        .collect()
}

fn expected(rows: &[(&str, &str)]) -> BTreeMap<String, String> {
    let rows = rows.iter();
    rows.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[tokio::test]
async fn a_call_by_duration_tokens_and_first_chunk() {
    let fixture = fixture();
    let params = ModelParams::new()
        .with_provider("openai")
        .with_model("gpt")
        .with_server_address("localhost")
        .with_server_port(8080)
        // of these there are too many
        .with_seed(7)
        .with_conversation_id("1");
    let usage = TokenUsage::new()
        .with_input_tokens(11)
        .with_output_tokens(17);
    let output = LlmOutput::new()
        .with_model_name("gpt-1")
        .with_token_usage(usage)
        .with_time_to_first_token(Duration::from_millis(250));
    for _ in 0..2 {
        let messages = [Message::human("hi")];
        let run = fixture.callbacks.chat_model_start(&MODEL, &messages);
        let run = run.params(&params).await.unwrap();
        let result = LlmResult::from_text("hi").with_llm_output(output.clone());
        run.end(&result).await.unwrap();
    }

    let with = |more: &[(&str, &str)]| {
        let mut with = expected(&[
            ("gen_ai.operation.name", "chat"),
            ("gen_ai.provider.name", "openai"),
            ("gen_ai.request.model", "gpt"),
            ("gen_ai.response.model", "gpt-1"),
            ("server.address", "localhost"),
            ("server.port", "8080"),
        ]);
        with.extend(expected(more));
        with
    };
    let row = |name: &str, unit: &str, with, sum: &str| {
        (name.to_owned(), unit.to_owned(), with, 2, sum.to_owned())
    };
    let (mut points, bounds) = fixture.points();
    // how long it took is up to the machine
    points[0].4.clear();
    let usage = "gen_ai.client.token.usage";
    let duration = "gen_ai.client.operation.duration";
    let first_chunk = "gen_ai.client.operation.time_to_first_chunk";
    let table = [
        row(duration, "s", with(&[]), ""),
        row(first_chunk, "s", with(&[]), "0.50"),
        row(
            usage,
            "{token}",
            with(&[("gen_ai.token.type", "input")]),
            "22",
        ),
        row(
            usage,
            "{token}",
            with(&[("gen_ai.token.type", "output")]),
            "34",
        ),
    ];
    assert_eq!(points, table);

    let seconds: Vec<_> = (0..14).map(|power| 0.01 * f64::from(1 << power)).collect();
    assert_eq!(bounds[duration], seconds);
    assert_eq!(bounds[first_chunk], seconds);
    let tokens: Vec<_> = (0..14).map(|power| f64::from(4).powi(power)).collect();
    assert_eq!(bounds[usage], tokens);
}

#[tokio::test]
async fn a_call_that_fails_has_a_type_of_error_and_no_guess() {
    let fixture = fixture();
    let run = fixture.callbacks.llm_start(&MODEL, || vec![String::new()]);
    let error = RunError::new("a secret").with_kind(ErrorKind::Cancelled);
    run.await.unwrap().error(error).await.unwrap();
    let (points, _) = fixture.points();
    let [(name, _, with, 1, _)] = &points[..] else {
        panic!("{points:?}");
    };
    assert_eq!(name, "gen_ai.client.operation.duration");
    let attributes = expected(&[
        ("error.type", "cancelled"),
        ("gen_ai.operation.name", "text_completion"),
        ("gen_ai.provider.name", "_OTHER"),
    ]);
    assert_eq!(*with, attributes);
}

#[tokio::test]
async fn searches_are_measured_and_nothing_else() {
    let fixture = fixture();
    let inputs = json!(null);
    let chain = fixture
        .callbacks
        .chain_start(&MODEL, &inputs)
        .await
        .unwrap();
    let tool = chain.callbacks().tool_start(&MODEL, "").await.unwrap();
    tool.end(&inputs).await.unwrap();
    let search = chain.callbacks().retriever_start(&MODEL, "").await.unwrap();
    search.end(&[]).await.unwrap();
    chain.end(&inputs).await.unwrap();
    let (points, _) = fixture.points();
    let [(_, _, with, 1, _)] = &points[..] else {
        panic!("{points:?}");
    };
    let attributes = expected(&[
        ("gen_ai.operation.name", "retrieval"),
        ("gen_ai.provider.name", "_OTHER"),
    ]);
    assert_eq!(*with, attributes);
}

/// What was recorded of these metrics: how often, and the sum.
fn totals(points: &[Point], names: [&str; 2]) -> [(u64, String); 2] {
    names.map(|name| {
        let found: Vec<_> = points.iter().filter(|point| point.0 == name).collect();
        match found[..] {
            [] => (0, String::new()),
            [(_, _, _, count, sum)] => (*count, sum.clone()),
            _ => panic!("{found:?}"),
        }
    })
}

#[tokio::test]
async fn chunks_are_timed_where_the_answer_is_streamed() {
    let chunks = [
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.client.operation.time_per_output_chunk",
    ];
    let none = || (0, String::new());
    let after = |count, sum: &str| (count, sum.to_owned());
    for (stream, pieces, ends, expected) in [
        // The first after 1 s, each further one 1 s after the one before.
        (Some(true), 3, true, [after(1, "1.00"), after(2, "2.00")]),
        // What was not said at the start shows.
        (None, 3, true, [after(1, "1.00"), after(2, "2.00")]),
        // What had come counts, whatever becomes of the rest.
        (Some(true), 2, false, [after(1, "1.00"), after(1, "1.00")]),
        (Some(true), 1, true, [after(1, "1.00"), none()]),
        (Some(true), 0, true, [none(), none()]),
        // An answer in one go that is handed on in pieces is no stream.
        (Some(false), 3, true, [none(), none()]),
    ] {
        let seconds = Arc::new(AtomicU64::new(0));
        let started = Arc::new(OnceLock::<SystemTime>::new());
        let (ticks, since) = (seconds.clone(), started.clone());
        let clock = move || {
            let after = ticks.fetch_add(1, Ordering::Relaxed) + 1;
            *since.get().unwrap() + Duration::from_secs(after)
        };
        let fixture = fixture_with(|builder| builder.clock(clock));
        // Also there for another parent, it is one all the same.
        let elsewhere = fixture.otel.under(Context::new());
        let callbacks = fixture.callbacks.clone();
        let callbacks = callbacks.with(handler(elsewhere).inline());
        let mut params = ModelParams::new();
        params.stream = stream;
        let run = callbacks.llm_start(&MODEL, || vec![String::new()]);
        let run = run.params(&params).await.unwrap();
        started.set(run.info().started_at()).unwrap();
        for piece in 0..pieces {
            seconds.store(piece, Ordering::Relaxed);
            run.new_token("piece").await.unwrap();
        }
        if ends {
            run.end(|| LlmResult::from_text("")).await.unwrap();
        } else {
            drop(run);
            let report = callbacks.flush(Duration::from_secs(10)).await;
            assert!(report.is_complete());
        }
        let (points, bounds) = fixture.points();
        let case = format!("{stream:?} {pieces} {ends}");
        assert_eq!(totals(&points, chunks), expected, "{case}");
        for bounds in chunks.iter().filter_map(|name| bounds.get(*name)) {
            let seconds: Vec<_> = (0..14).map(|power| 0.01 * f64::from(1 << power)).collect();
            assert_eq!(*bounds, seconds);
        }
    }
}

#[tokio::test]
async fn what_was_no_stream_has_no_first_chunk() {
    let fixture = fixture();
    let params = ModelParams::new().with_stream(false);
    let run = fixture.callbacks.llm_start(&MODEL, || vec![String::new()]);
    let run = run.params(&params).await.unwrap();
    let output = LlmOutput::new().with_time_to_first_token(Duration::from_millis(250));
    let result = LlmResult::from_text("").with_llm_output(output);
    run.end(&result).await.unwrap();
    let (points, _) = fixture.points();
    let names: Vec<_> = points.iter().map(|point| &*point.0).collect();
    assert_eq!(names, ["gen_ai.client.operation.duration"]);
}
