//! End to end: what arrives over OTLP is what the tables say, attribute by attribute, with its type.

#[path = "common/receiver.rs"]
#[allow(dead_code, unreachable_pub, reason = "other tests share it")]
mod receiver;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use callbacks::{
    Callbacks, EmitError, Generation, LlmOutput, LlmResult, Message, ModelParams, RunError,
    RunKind, Serialized, TokenUsage, handler,
};
use callbacks_otel::{Capture, Otel, names};
use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter, WithExportConfig};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Wire;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use receiver::{Received, Receiver};
use serde_json::{Value, json};

static WHO: Serialized = Serialized::new("planner");

/// An attribute: its name, and its value as [`shown`].
type Row = (&'static str, &'static str);

const INPUT: &str = r#"[{"parts":[{"content":"hi","type":"text"}],"role":"user"}]"#;
const OUTPUT: &str =
    r#"[{"finish_reason":"stop","parts":[{"content":"ha","type":"text"}],"role":"assistant"}]"#;

/// Spans: name, kind, parent, status, attributes.
const SPANS: &[(&str, &str, &str, &str, &[Row])] = &[
    (
        "invoke_agent planner",
        "SPAN_KIND_INTERNAL",
        "",
        "STATUS_CODE_UNSET",
        &[
            ("gen_ai.operation.name", "string invoke_agent"),
            ("gen_ai.provider.name", "string _OTHER"),
            ("gen_ai.agent.name", "string planner"),
            ("gen_ai.usage.input_tokens", "int 11"),
            ("gen_ai.usage.output_tokens", "int 17"),
            ("gen_ai.input.messages", INPUT),
            ("gen_ai.output.messages", OUTPUT),
        ],
    ),
    (
        "chat gpt",
        "SPAN_KIND_CLIENT",
        "invoke_agent planner",
        "STATUS_CODE_UNSET",
        &[
            ("gen_ai.operation.name", "string chat"),
            ("gen_ai.provider.name", "string openai"),
            ("gen_ai.request.model", "string gpt"),
            ("gen_ai.request.stream", "bool true"),
            ("gen_ai.request.temperature", "double 0.5"),
            ("gen_ai.request.max_tokens", "int 25"),
            ("gen_ai.request.stop_sequences", "[string END]"),
            ("gen_ai.response.id", "string 1"),
            ("gen_ai.response.model", "string gpt-1"),
            ("gen_ai.response.finish_reasons", "[string stop]"),
            ("gen_ai.response.time_to_first_chunk", "double 0.25"),
            ("gen_ai.usage.input_tokens", "int 11"),
            ("gen_ai.usage.output_tokens", "int 17"),
            ("server.address", "string localhost"),
            ("server.port", "int 8080"),
            ("gen_ai.input.messages", INPUT),
            ("gen_ai.output.messages", OUTPUT),
        ],
    ),
    (
        "execute_tool shell",
        "SPAN_KIND_INTERNAL",
        "invoke_agent planner",
        "STATUS_CODE_ERROR: exit 1",
        &[
            ("gen_ai.operation.name", "string execute_tool"),
            ("gen_ai.tool.name", "string shell"),
            ("gen_ai.tool.call.id", "string call_1"),
            ("gen_ai.tool.type", "string function"),
            ("gen_ai.tool.call.arguments", "string ls"),
            ("error.type", "string _OTHER"),
        ],
    ),
];

/// Metrics: name, unit, attributes of a point.
const METRICS: &[(&str, &str, &[Row])] = &[
    ("gen_ai.client.operation.duration", "s", &[]),
    ("gen_ai.client.operation.time_per_output_chunk", "s", &[]),
    ("gen_ai.client.operation.time_to_first_chunk", "s", &[]),
    (
        "gen_ai.client.token.usage",
        "{token}",
        &[("gen_ai.token.type", "string input")],
    ),
    (
        "gen_ai.client.token.usage",
        "{token}",
        &[("gen_ai.token.type", "string output")],
    ),
];

/// What each point has.
const MEASURED: &[Row] = &[
    ("gen_ai.operation.name", "string chat"),
    ("gen_ai.provider.name", "string openai"),
    ("gen_ai.request.model", "string gpt"),
    ("gen_ai.response.model", "string gpt-1"),
    ("server.address", "string localhost"),
    ("server.port", "int 8080"),
];

async fn agent(callbacks: &Callbacks) -> Result<(), EmitError> {
    let inputs = json!("hi");
    let agent = callbacks.chain_start(&WHO, &inputs).kind(RunKind::Agent);
    let agent = agent.await?;
    let inside = agent.callbacks();
    let messages = [Message::human("hi")];
    let params = ModelParams::new()
        .with_provider("openai")
        .with_model("gpt")
        .with_stream(true)
        .with_temperature(0.5)
        .with_max_tokens(25)
        .with_stop(["END"])
        .with_server_address("localhost")
        .with_server_port(8080);
    let model = inside.chat_model_start(&WHO, &messages).params(&params);
    let usage = TokenUsage::new()
        .with_input_tokens(11)
        .with_output_tokens(17);
    let output = LlmOutput::new()
        .with_model_name("gpt-1")
        .with_response_id("1")
        .with_token_usage(usage)
        .with_time_to_first_token(Duration::from_millis(250));
    let choice = Generation::new("ha").with_finish_reason("stop");
    let result = LlmResult::new(vec![vec![choice]]).with_llm_output(output);
    let model = model.await?;
    model.new_token("h").await?;
    model.new_token("a").await?;
    model.end(&result).await?;
    let tool = inside.tool_start(&WHO, "ls").name("shell");
    let tool = tool.tool_call_id("call_1").await?;
    tool.error(RunError::new("exit 1")).await?;
    agent.end(&json!("ha")).await
}

/// Runs the agent with everything exported to this address.
async fn export(to: SocketAddr) {
    let endpoint = |path| format!("http://{to}/v1/{path}");
    let spans = SpanExporter::builder().with_http();
    let spans = spans.with_endpoint(endpoint("traces")).build().unwrap();
    let metrics = MetricExporter::builder().with_http();
    let metrics = metrics.with_endpoint(endpoint("metrics")).build().unwrap();
    let logs = LogExporter::builder().with_http();
    let logs = logs.with_endpoint(endpoint("logs")).build().unwrap();
    let tracers = SdkTracerProvider::builder()
        .with_batch_exporter(spans)
        .build();
    let reader = PeriodicReader::builder(metrics).build();
    let meters = SdkMeterProvider::builder().with_reader(reader).build();
    let loggers = SdkLoggerProvider::builder()
        .with_batch_exporter(logs)
        .build();
    let otel = Otel::builder()
        .tracer_provider(&tracers)
        .meter_provider(&meters)
        .logger_provider(&loggers)
        .capture(Capture::SpanAndEvent)
        .build();
    let callbacks = Callbacks::new().with(handler(otel).inline());
    agent(&callbacks).await.unwrap();
    tracers.shutdown().unwrap();
    meters.shutdown().unwrap();
    loggers.shutdown().unwrap();
}

/// A value with its type on the wire; JSON as it is, but in order.
fn shown(value: &AnyValue) -> String {
    match value.value.as_ref().expect("a value") {
        Wire::StringValue(text) if text.starts_with('[') => {
            let mut json: Value = serde_json::from_str(text).expect("it is JSON");
            // Whether they are in order is up to a feature that anybody may ask for.
            json.sort_all_objects();
            json.to_string()
        }
        Wire::StringValue(text) => format!("string {text}"),
        Wire::BoolValue(value) => format!("bool {value}"),
        Wire::IntValue(value) => format!("int {value}"),
        Wire::DoubleValue(value) => format!("double {value}"),
        Wire::ArrayValue(list) => {
            let values: Vec<_> = list.values.iter().map(shown).collect();
            format!("[{}]", values.join(", "))
        }
        Wire::KvlistValue(list) => format!("{:?}", table(&list.values)),
        other => panic!("{other:?}"),
    }
}

fn table(attributes: &[KeyValue]) -> BTreeMap<&str, String> {
    let pairs = attributes.iter();
    let value = |pair: &KeyValue| shown(pair.value.as_ref().expect("a value"));
    pairs.map(|pair| (&*pair.key, value(pair))).collect()
}

fn expected<'a>(rows: &[&'a [Row]]) -> BTreeMap<&'a str, String> {
    let rows = rows.iter().copied().flatten();
    rows.map(|&(key, value)| (key, value.to_owned())).collect()
}

fn spans(received: &Received) -> Vec<&Span> {
    let mut spans = Vec::new();
    for resource in received.traces.iter().flat_map(|all| &all.resource_spans) {
        for scope in &resource.scope_spans {
            assert_eq!(scope.schema_url, names::SCHEMA_URL);
            assert_eq!(scope.scope.as_ref().unwrap().name, "callbacks-otel");
            spans.extend(&scope.spans);
        }
    }
    spans
}

fn complete(received: &Received) -> bool {
    spans(received).len() >= SPANS.len()
        && !received.metrics.is_empty()
        && !received.logs.is_empty()
}

fn compare(received: &Received) {
    let spans = spans(received);
    assert_eq!(spans.len(), SPANS.len());
    let ids: BTreeMap<_, _> = spans
        .iter()
        .map(|span| (&span.span_id[..], &*span.name))
        .collect();
    for (name, kind, parent, status, attributes) in SPANS {
        let span = spans.iter().find(|span| span.name == *name);
        let span = span.unwrap_or_else(|| panic!("no span {name}"));
        assert_eq!(span.kind().as_str_name(), *kind, "{name}");
        let found = ids.get(&span.parent_span_id[..]).copied();
        assert_eq!(found.unwrap_or_default(), *parent, "{name}");
        let found = span.status.clone().unwrap_or_default();
        let found = match (found.code().as_str_name(), &*found.message) {
            (code, "") => code.to_owned(),
            (code, message) => format!("{code}: {message}"),
        };
        assert_eq!(found, *status, "{name}");
        assert_eq!(table(&span.attributes), expected(&[attributes]), "{name}");
        assert_eq!(
            span.attributes.len(),
            attributes.len(),
            "{name}: one is there twice"
        );
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
        assert!(span.events.is_empty());
    }
    compare_metrics(received);
    compare_events(received);
}

fn compare_metrics(received: &Received) {
    let mut found = BTreeSet::new();
    for resource in received
        .metrics
        .iter()
        .flat_map(|all| &all.resource_metrics)
    {
        for metric in resource
            .scope_metrics
            .iter()
            .flat_map(|scope| &scope.metrics)
        {
            let Some(Data::Histogram(histogram)) = &metric.data else {
                panic!("{metric:?}");
            };
            for point in &histogram.data_points {
                assert_eq!(point.count, 1, "{metric:?}");
                assert_eq!(point.explicit_bounds.len(), 14, "{metric:?}");
                found.insert((&*metric.name, &*metric.unit, table(&point.attributes)));
            }
        }
    }
    let rows = METRICS.iter();
    let rows = rows.map(|(name, unit, more)| (*name, *unit, expected(&[MEASURED, more])));
    assert_eq!(found, rows.collect());
}

/// Of the call, the same as on its span, but with the content structured.
fn compare_events(received: &Received) {
    let resources = received.logs.iter().flat_map(|all| &all.resource_logs);
    let scopes = resources.flat_map(|resource| &resource.scope_logs);
    let records: Vec<_> = scopes.flat_map(|scope| &scope.log_records).collect();
    let [record] = records[..] else {
        panic!("{records:?}");
    };
    assert_eq!(
        record.event_name,
        "gen_ai.client.inference.operation.details"
    );
    let spans = spans(received);
    let chat = spans.iter().find(|span| span.name == "chat gpt").unwrap();
    assert_eq!(record.span_id, chat.span_id);
    assert_eq!(record.trace_id, chat.trace_id);
    assert_eq!(record.time_unix_nano, chat.end_time_unix_nano);
    let (mut on_event, mut on_span) = (table(&record.attributes), table(&chat.attributes));
    for name in [names::GEN_AI_INPUT_MESSAGES, names::GEN_AI_OUTPUT_MESSAGES] {
        let structured = on_event.remove(name).unwrap();
        assert!(structured.contains(r#""role": "string "#), "{structured}");
        on_span.remove(name);
    }
    assert_eq!(on_event, on_span);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_arrives() {
    let receiver = Receiver::new();
    export(receiver.address).await;
    compare(&receiver.once(complete));
}

/// A collector that runs until it is dropped.
struct Collector(Child, SocketAddr);

impl Collector {
    /// Forwards to this address.
    fn start(program: &str, to: SocketAddr) -> Self {
        let free = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        // Both at once, so that they differ.
        let (grpc, http) = (free(), free());
        let [grpc, http] = [grpc, http].map(|free| free.local_addr().unwrap());
        let mut command = Command::new(program);
        command.args(["start", "--exporter", "otlp", "--batch-timeout", "50ms"]);
        command.args(["--otlp-grpc-endpoint", &grpc.to_string()]);
        command.args(["--otlp-http-endpoint", &http.to_string()]);
        command.args(["--otlp-exporter-endpoint", &format!("http://{to}")]);
        command.args(["--otlp-exporter-protocol", "http"]);
        let child = command.stdout(Stdio::null()).spawn().unwrap();
        let collector = Self(child, http);
        let limit = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(http).is_err() {
            assert!(Instant::now() < limit, "the collector does not listen");
            thread::sleep(Duration::from_millis(10));
        }
        collector
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a collector: `pip install rotel`, and its `rotel-agent` in `ROTEL_AGENT`"]
async fn what_is_exported_arrives_through_a_collector() {
    let program = std::env::var("ROTEL_AGENT").expect("`ROTEL_AGENT` names the collector");
    let receiver = Receiver::new();
    let collector = Collector::start(&program, receiver.address);
    export(collector.1).await;
    compare(&receiver.once(complete));
}
