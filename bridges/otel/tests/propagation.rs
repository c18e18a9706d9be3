//! Run trees span machines: a run is written into headers, and what runs there is under it.

mod common;

use std::collections::HashMap;

use callbacks::{Callbacks, Serialized, handler};
use callbacks_otel::Otel;
use callbacks_otel::propagation::{extract, inject};
use common::fixture;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{SpanId, TraceContextExt};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use serde_json::json;

static TOOL: Serialized = Serialized::new("remote");

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn headers(parent: &str, state: Option<&str>) -> HashMap<String, String> {
    let mut headers = HashMap::from([("traceparent".to_owned(), parent.to_owned())]);
    headers.extend(state.map(|state| ("tracestate".to_owned(), state.to_owned())));
    headers
}

#[tokio::test]
async fn what_runs_on_another_machine_is_under_the_run_that_called_it() {
    let (here, there) = (fixture(), fixture());
    let run = here.callbacks.tool_start(&TOOL, "").await.unwrap();
    let mut headers = HashMap::new();
    here.otel.inject(run.info(), &mut headers);

    let otel = there.otel.continuing(&headers);
    let callbacks = Callbacks::new().with(handler(otel).inline());
    let chain = callbacks.chain_start(&TOOL, &json!(1)).await.unwrap();
    let inner = chain.callbacks().tool_start(&TOOL, "").await.unwrap();
    inner.end(&json!(1)).await.unwrap();
    chain.end(&json!(1)).await.unwrap();
    let info = run.info().clone();
    run.end(&json!(1)).await.unwrap();

    let outer = here.span("execute_tool remote");
    let middle = there.span("invoke_workflow remote");
    let inner = there.span("execute_tool remote");
    assert_eq!(middle.parent_span_id, outer.span_context.span_id());
    assert!(middle.parent_span_is_remote);
    assert_eq!(inner.parent_span_id, middle.span_context.span_id());
    assert!(!inner.parent_span_is_remote);
    for span in [middle, inner] {
        let trace = span.span_context.trace_id();
        assert_eq!(trace, outer.span_context.trace_id());
    }

    // Of what is over, or another handler's, nothing is written.
    headers.clear();
    here.otel.inject(&info, &mut headers);
    there.otel.inject(&info, &mut headers);
    assert!(headers.is_empty());
}

/// Who asked for no sampling, and what vendors said, is passed on by the runs in between.
#[tokio::test]
async fn the_flag_and_the_state_go_on_through_runs() {
    for (parent, recorded) in [(PARENT.to_owned(), 1), (PARENT.replace("-01", "-00"), 0)] {
        let exporter = InMemorySpanExporter::default();
        // With the sampler that it has by default.
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(exporter.clone())
            .build();
        let otel = Otel::builder().tracer_provider(&provider).build();
        let incoming = headers(&parent, Some("vendor=1"));
        let continuing = otel.continuing(&incoming);
        let callbacks = Callbacks::new().with(handler(continuing).inline());
        let run = callbacks.tool_start(&TOOL, "").await.unwrap();
        let mut outgoing = HashMap::new();
        otel.inject(run.info(), &mut outgoing);
        run.end(&json!(1)).await.unwrap();

        assert_eq!(outgoing["tracestate"], "vendor=1");
        let went_on = &outgoing["traceparent"];
        assert_eq!(went_on[..36], parent[..36], "the trace");
        assert_ne!(went_on[36..52], parent[36..52], "the span");
        assert_eq!(went_on[52..], parent[52..], "the flag");
        assert_eq!(exporter.get_finished_spans().unwrap().len(), recorded);
    }
}

#[tokio::test]
async fn without_a_parent_a_trace_begins() {
    let fixture = fixture();
    let otel = fixture.otel.continuing(&headers("nonsense", None));
    let callbacks = Callbacks::new().with(handler(otel).inline());
    let run = callbacks.tool_start(&TOOL, "").await.unwrap();
    run.end(&json!(1)).await.unwrap();
    let span = fixture.span("execute_tool remote");
    assert_eq!(span.parent_span_id, SpanId::INVALID);
}

/// What the SDK's propagator makes of headers is what is made of them here.
#[test]
fn headers_are_read_as_the_standard_says() {
    let trace = &PARENT[3..35];
    let good = [
        PARENT.to_owned(),
        PARENT.replace("-01", "-00"),
        PARENT.replace("00-0af", "01-0af"),
        PARENT.replace("00-0af", "cc-0af") + "-more",
        format!(" {PARENT} "),
    ];
    let bad = [
        String::new(),
        "00".to_owned(),
        "-".repeat(55),
        PARENT.replace("00-0af", "ff-0af"),
        PARENT.replace("00-0af", "0-0af"),
        PARENT.replace('a', "A"),
        PARENT.replace('a', "ä"),
        PARENT.replace("0af", "+af"),
        PARENT.replace(trace, &"0".repeat(32)),
        PARENT.replace("b7ad6b7169203331", &"0".repeat(16)),
        PARENT.to_owned() + "-more",
        PARENT[..54].to_owned(),
        PARENT.replace("-01", "-0g"),
    ];
    let standard = TraceContextPropagator::new();
    for (parents, is_good) in [(&good[..], true), (&bad[..], false)] {
        for parent in parents {
            let headers = headers(parent, Some("vendor=1,other=2"));
            let ours = extract(&headers);
            assert_eq!(ours.is_some(), is_good, "{parent:?}");
            let theirs = standard.extract_with_context(&opentelemetry::Context::new(), &headers);
            if let Some(ours) = ours
                && theirs.span().span_context().is_valid()
            {
                let (ours, theirs) = (ours.span(), theirs.span());
                assert_eq!(ours.span_context(), theirs.span_context(), "{parent:?}");
            }
        }
    }
}

#[test]
fn headers_come_back_as_they_were() {
    for sampled in [PARENT.to_owned(), PARENT.replace("-01", "-00")] {
        let incoming = headers(&sampled, Some("vendor=1,other=2"));
        let mut outgoing = HashMap::new();
        inject(&extract(&incoming).unwrap(), &mut outgoing);
        assert_eq!(outgoing, incoming);
    }
    // One header is no reason to lose the other.
    let context = extract(&headers(PARENT, Some("nonsense"))).unwrap();
    assert!(context.span().span_context().is_valid());
    assert_eq!(context.span().span_context().trace_state().header(), "");
}

#[test]
fn a_state_that_is_malformed_is_left_out() {
    let long = vec!["a=1"; 40].join(",");
    for (state, read) in [
        ("", ""),
        (" , ,", ""),
        (" a=1 ,, b=2,", "a=1,b=2"),
        ("a", ""),
        ("A=1", ""),
        ("a=ä", ""),
        ("a=1\r\nevil: 1", ""),
    ] {
        let context = extract(&headers(PARENT, Some(state))).unwrap();
        let span = context.span().span_context().clone();
        assert!(span.is_valid() && span.is_sampled(), "{state:?}");
        assert_eq!(span.trace_state().header(), read, "{state:?}");
    }
    let context = extract(&headers(PARENT, Some(&long))).unwrap();
    assert!(context.span().span_context().is_valid());
}

/// Headers with the same name several times.
struct Repeated(Vec<(&'static str, &'static str)>);

impl Extractor for Repeated {
    fn get(&self, key: &str) -> Option<&str> {
        self.get_all(key)?.first().copied()
    }
    fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|(key, _)| *key).collect()
    }
    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let all = self.0.iter().filter(|(name, _)| *name == key);
        let all: Vec<_> = all.map(|(_, value)| *value).collect();
        (!all.is_empty()).then_some(all)
    }
}

#[test]
fn states_add_up_and_parents_do_not() {
    let headers = Repeated(vec![
        ("traceparent", PARENT),
        ("tracestate", "a=1"),
        ("tracestate", "b=2"),
    ]);
    let context = extract(&headers).unwrap();
    let state = context.span().span_context().trace_state().header();
    assert_eq!(state, "a=1,b=2");
    let headers = Repeated(vec![("traceparent", PARENT), ("traceparent", PARENT)]);
    assert!(extract(&headers).is_none());
}
