//! A recording that is replayed becomes the spans that there would have been.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use callbacks::handlers::json_lines::replay_blocking;
use callbacks::{Callbacks, handler};
use callbacks_otel::Otel;
use opentelemetry::Value;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};

const RECORDING: &str = r#"{"schema":"callbacks.json_lines","version":1}
{"seq":1,"time":1577836800000000,"run":{"id":"0190a6b0-52a1-7f3c-8d5e-3a1b2c3d4e5f","kind":"llm","name":"Model","started_at":1577836800000000},"event":{"LlmStart":{"serialized":null,"prompts":["Why?"],"params":null}}}
{"seq":2,"time":1577836800250000,"run":{"id":"0190a6b0-52a1-7f3c-8d5e-3a1b2c3d4e5f"},"event":{"LlmNewToken":{"token":"Because","chunk":null,"choice":0}}}
{"seq":3,"time":1577836801000000,"run":{"id":"0190a6b0-52a1-7f3c-8d5e-3a1b2c3d4e5f"},"event":{"LlmEnd":{"response":{"generations":[[]]},"params":null}}}
"#;

fn at(millis: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_577_836_800) + Duration::from_millis(millis)
}

#[test]
fn spans_have_the_times_of_the_recording() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("replay.jsonl");
    fs::write(&path, RECORDING).unwrap();
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    let otel = Otel::builder().tracer_provider(&provider).build();
    let callbacks = Callbacks::new().with(handler(otel).inline());
    replay_blocking(&path, &callbacks).unwrap();

    let spans = exporter.get_finished_spans().unwrap();
    let [span] = &*spans else {
        panic!("{spans:?}");
    };
    assert_eq!((span.start_time, span.end_time), (at(0), at(1_000)));
    let first_chunk = "gen_ai.response.time_to_first_chunk";
    let mut attributes = span.attributes.iter();
    let first_chunk = attributes.find(|attribute| attribute.key.as_str() == first_chunk);
    assert_eq!(first_chunk.unwrap().value, Value::F64(0.25));
}
