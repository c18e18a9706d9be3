//! What events say: it comes back as it was, or the event is not recorded.

use std::sync::Arc;
use std::time::Duration;

use callbacks::events::AnyEvent;
use callbacks::handlers::JsonLines;
use callbacks::handlers::json_lines::RecordingError;
use callbacks::testing::Recorder;
use callbacks::{
    Callbacks, Document, EmitError, Interests, ModelParams, Queue, RetryState, RunKind, handler,
};
use callbacks_tests::{MODEL, RETRIEVER};
use serde_json::{Value, json};

use crate::{AGENT, folder, heard, read, records, text};

/// The data of a custom event, recorded and read.
async fn data(all: &[Value]) -> Vec<Value> {
    let (_folder, path) = folder();
    let callbacks = Callbacks::new().with(JsonLines::create(&path).unwrap());
    for data in all {
        callbacks.custom_event("data", data).await.unwrap();
    }
    let data = records(&path)
        .into_iter()
        .map(|record| match record.event() {
            AnyEvent::CustomEvent(event) => event.data.clone(),
            event => panic!("{event:?}"),
        });
    data.collect()
}

#[tokio::test]
async fn whole_numbers() {
    let numbers = [
        json!(u64::MAX),
        json!(i64::MIN),
        json!((1_u64 << 53) + 1),
        json!(-(1_i64 << 53) - 1),
        json!(0),
    ];
    assert_eq!(data(&numbers).await, numbers);
}

/// Exactly, up to 15 digits; a longer one is its neighbour at worst.
#[tokio::test]
async fn other_numbers() {
    let mut random = 88_172_645_463_325_252_u64;
    let mut random = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    #[expect(clippy::cast_precision_loss, reason = "these fit")]
    let short: Vec<_> = (0..5000)
        .map(|_| json!((random() % 1_000_000_000_000_000) as f64 / 1e12))
        .chain([0.0, -0.0, 0.1, 1e15, 1e22, -2.5e-7].map(Value::from))
        .collect();
    assert_eq!(format!("{:?}", data(&short).await), format!("{short:?}"));

    // All bits of a number between 1/2 and 1.
    let long: Vec<_> = (0..5000)
        .map(|_| f64::from_bits(0x3fe0_0000_0000_0000 | random() >> 12))
        .collect();
    let read = data(&long.iter().map(|long| json!(long)).collect::<Vec<_>>()).await;
    for (read, long) in read.iter().zip(long) {
        let read = read.as_f64().unwrap();
        assert!(
            read.to_bits().abs_diff(long.to_bits()) <= 1,
            "{read} {long}"
        );
    }
}

#[tokio::test]
async fn texts() {
    let texts = [
        json!("\u{2028}\u{2029}\u{85}\u{b}\u{c}\r\n\t\u{0}\u{7f}\u{feff}"),
        json!({ "\n": "}\n{", "": "\\\"\\u0000\\n", "🦀": ["\u{10ffff}"] }),
        json!("{\"seq\":1}\n{\"schema\":\"callbacks.json_lines\",\"version\":9}\n"),
    ];
    assert_eq!(data(&texts).await, texts);
}

/// Larger than any buffer on the way, and small again after it.
#[tokio::test]
async fn a_large_event() {
    let large = [
        json!("x".repeat(4 << 20)),
        json!(1),
        json!("é".repeat(1 << 20)),
    ];
    assert!(data(&large).await == large);
}

/// Values that JSON has no way to say are said as nothing.
#[tokio::test]
async fn what_is_no_number() {
    let (_folder, path) = folder();
    let callbacks = Callbacks::new().with(JsonLines::create(&path).unwrap());
    let params = ModelParams::new()
        .with_temperature(f64::NAN)
        .with_top_p(f64::INFINITY);
    let model = callbacks.llm_start(&MODEL, Vec::new).params(&params);
    let model = model.await.unwrap();
    model
        .retry(RetryState::new(1).with_wait(Duration::MAX))
        .await
        .unwrap();
    let search = callbacks.retriever_start(&RETRIEVER, "tea").await.unwrap();
    let found = vec![Document::new("tea").with_score(f64::NEG_INFINITY)];
    search.end(found).await.unwrap();
    let records = records(&path);
    let AnyEvent::LlmStart(start) = records[0].event() else {
        panic!("{records:?}");
    };
    assert_eq!(start.params, Some(&ModelParams::new()));
    let AnyEvent::Retry(retry) = records[1].event() else {
        panic!("{records:?}");
    };
    let wait = retry.retry_state.wait.unwrap();
    assert!(
        Duration::MAX.abs_diff(wait) < Duration::from_secs(10_000),
        "{wait:?}"
    );
    let AnyEvent::RetrieverEnd(end) = records[3].event() else {
        panic!("{records:?}");
    };
    assert_eq!(end.documents, [Document::new("tea")]);
}

/// An event that nobody could read is not written.
#[tokio::test]
async fn what_is_too_deep_is_lost() {
    let (_folder, path) = folder();
    let json_lines = Arc::new(JsonLines::create(&path).unwrap());
    let callbacks =
        Callbacks::new().with(handler(json_lines.clone()).background(Queue::bounded(9)));
    for depth in 100..140 {
        let data = (0..depth).fold(Value::Null, |inner, _| json!([inner]));
        callbacks.custom_event("deep", data).await.unwrap();
    }
    let report = callbacks.flush(Duration::from_secs(60)).await;
    assert_eq!(report.handlers[0].failed, 15);
    // The line, the event and its fields are three more, of 127.
    assert_eq!(records(&path).len(), 25);
    assert_eq!(json_lines.lost(), 15);
}

/// A payload that says one thing twice, or otherwise than it would be read.
#[tokio::test]
async fn what_contradicts_itself_is_lost() {
    let (_folder, path) = folder();
    let json_lines = Arc::new(JsonLines::create(&path).unwrap());
    let strict = handler(json_lines.clone()).raise_errors();
    let callbacks = Callbacks::new().with(strict);
    let twice = ModelParams::new()
        .with_model("one")
        .with_extra("model", "two");
    let other = ModelParams::new().with_extra("temperature", "hot");
    for (params, problem) in [(twice, "duplicate field `model`"), (other, "invalid type")] {
        let start = callbacks.llm_start(&MODEL, Vec::new).params(&params).await;
        match start.unwrap_err() {
            EmitError::Raised { source, .. } => {
                let source = source.downcast::<RecordingError>().unwrap();
                assert!(matches!(*source, RecordingError::Unreadable { .. }));
                assert!(source.to_string().contains(problem), "{source}");
            }
            error => panic!("{error}"),
        }
    }
    // The error has the parameters, too, and the last loss is told when the next event is written.
    assert_eq!(json_lines.lost(), 4);
    callbacks.custom_event("next", Value::Null).await.unwrap();
    let mut recording = JsonLines::read(&path).unwrap();
    assert_eq!(recording.by_ref().map(Result::unwrap).count(), 1);
    assert_eq!(recording.lost(), 4);
}

/// A run whose own description cannot be read has no lines.
#[tokio::test]
async fn a_run_that_cannot_be_described() {
    let (_folder, path) = folder();
    let json_lines = Arc::new(JsonLines::create(&path).unwrap());
    let callbacks = Callbacks::new().with(json_lines.clone());
    let deep = (0..200).fold(Value::Null, |inner, _| json!([inner]));
    let outer = callbacks.metadata("deep", deep);
    let outer = outer.chain_start(&AGENT, Value::Null).await.unwrap();
    outer.text("lost").await.unwrap();
    outer.end(Value::Null).await.unwrap();
    let run = callbacks.chain_start(&AGENT, Value::Null).await.unwrap();
    run.end(Value::Null).await.unwrap();
    assert_eq!(json_lines.lost(), 3);
    assert_eq!(records(&path).len(), 2);
}

/// Events of other sets are not for it.
#[tokio::test]
async fn events_of_other_sets() {
    let (_folder, path) = folder();
    let recorder = Recorder::new();
    let callbacks = Callbacks::new()
        .with(JsonLines::create(&path).unwrap())
        .with(recorder.clone());
    let run = callbacks.chain_start(&AGENT, Value::Null).await.unwrap();
    let failed = ::shop::trade::HTTPFailed { status: 502 };
    run.emit(failed).await.unwrap();
    run.end(Value::Null).await.unwrap();
    assert_eq!(records(&path).len(), 2);
    assert_eq!(read(&records(&path)), heard(&recorder.events()));
}

/// The names of kinds are not taken for those of others.
#[tokio::test]
async fn kinds_of_runs() {
    let (_folder, path) = folder();
    let recorder = Recorder::new();
    let callbacks = Callbacks::new()
        .with(handler(JsonLines::create(&path).unwrap()).only(Interests::CHAIN))
        .with(recorder.clone());
    for kind in [
        RunKind::Custom("chain"),
        RunKind::Custom(""),
        RunKind::Custom("none"),
        RunKind::Tool,
    ] {
        let run = callbacks.chain_start(&AGENT, Value::Null).kind(kind);
        run.await.unwrap().end(Value::Null).await.unwrap();
    }
    let kinds = |records: &[callbacks::Record]| {
        let kinds = records.iter().map(|record| record.run().kind());
        kinds.collect::<Vec<_>>()
    };
    let expected: Vec<_> = recorder
        .events()
        .iter()
        .map(|event| event.run().kind())
        .collect();
    assert_eq!(kinds(&records(&path)), expected);
    assert!(text(&path).contains(r#""kind":{"custom":"chain"}"#));
}
