//! One trace on both sides of a connection, with `callbacks-otel`: its trace context goes with each call.

mod common;

use callbacks::{Callbacks, Serialized, handler};
use callbacks_otel::Otel;
use callbacks_rmcp::{ToolClient, ToolServer, trace_context};
use common::params;
use common::server::Probe;
use common::wire::connect_here;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use serde_json::json;

static AGENT: Serialized = Serialized::new("agent");

/// Spans that are over, of one side.
struct Side {
    exporter: InMemorySpanExporter,
    otel: Otel,
}

impl Side {
    fn new() -> Self {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone());
        let otel = Otel::builder().tracer_provider(&provider.build()).build();
        Self { exporter, otel }
    }

    fn spans(&self) -> Vec<SpanData> {
        self.exporter.get_finished_spans().unwrap()
    }
}

#[tokio::test]
async fn a_call_is_one_trace_on_both_sides() {
    let (here, there) = (Side::new(), Side::new());
    let callbacks = Callbacks::new().with(handler(here.otel.clone()).inline());
    let otel = here.otel.clone();
    let tools = ToolClient::new().propagating(move |run, headers| otel.inject(run, headers));
    let otel = there.otel.clone();
    let server = ToolServer::per_request(Probe::new(), move |request| {
        let otel = otel.continuing(&trace_context(&request.meta));
        Callbacks::new().with(handler(otel).inline())
    });
    let (client, _server) = connect_here(&tools, server).await;
    let agent = callbacks.chain_start(&AGENT, json!({})).await.unwrap();
    let nest = params("nest", &json!({}));
    let answer = tools.call_tool(&client, nest, agent.callbacks()).await;
    answer.unwrap();
    agent.end(json!({})).await.unwrap();

    let (here, there) = (here.spans(), there.spans());
    let [call, agent] = &here[..] else {
        panic!("{here:?}");
    };
    assert_eq!(call.parent_span_id, agent.span_context.span_id());
    let trace = agent.span_context.trace_id();
    let mut all = here.iter().chain(&there);
    assert!(
        all.all(|span| span.span_context.trace_id() == trace),
        "{there:?}"
    );
    // What runs in the tool is over before it.
    let tool = there.last().unwrap();
    assert_eq!(tool.parent_span_id, call.span_context.span_id());
    assert!(tool.parent_span_is_remote, "{tool:?}");
    let inside = &there[there.len() - 2];
    assert_eq!(inside.parent_span_id, tool.span_context.span_id());
}
