//! What is captured is up to the code, and where that is silent, to the environment.

#[path = "common/told.rs"]
#[allow(dead_code, unreachable_pub, reason = "other tests share it")]
mod told;

use std::process::Command;

use callbacks_otel::Capture;
use opentelemetry_sdk::trace::Sampler;
use told::{everything, fixture_with};

/// The variables are those of a process, so each row has its own.
#[test]
fn the_environment_is_heard_where_the_code_is_silent() {
    let capture = Capture::VARIABLE;
    let events = "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT";
    for (variables, expected) in [
        (&[][..], "spans false, events 0"),
        (&[(capture, "")], "spans false, events 0"),
        (&[(capture, "NO_CONTENT")], "spans false, events 0"),
        (&[(capture, "span_only")], "spans true, events 0"),
        (&[(capture, "EVENT_ONLY")], "spans false, events 3"),
        (&[(capture, "SPAN_AND_EVENT")], "spans true, events 3"),
        (&[(capture, " Span_And_Event ")], "spans true, events 3"),
        (&[(capture, "true")], "spans false, events 0"),
        (&[(events, "true")], "spans false, events 3"),
        (&[(events, "TRUE")], "spans false, events 3"),
        // what is neither a yes nor a no says nothing
        (&[(events, "1")], "spans false, events 0"),
        (
            &[(capture, "EVENT_ONLY"), (events, "off")],
            "spans false, events 3",
        ),
        // content that has nowhere to go
        (
            &[(capture, "EVENT_ONLY"), (events, "false")],
            "spans false, events 0",
        ),
        (
            &[(capture, "SPAN_AND_EVENT"), (events, "false")],
            "spans true, events 0",
        ),
    ] {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "in_an_environment", "--ignored", "--nocapture"]);
        child.env_remove(capture).env_remove(events);
        let child = child.envs(variables.iter().copied()).output().unwrap();
        let output = String::from_utf8(child.stdout).unwrap();
        assert!(output.contains(expected), "{variables:?}: {output}");
    }
}

#[tokio::test]
#[ignore = "run by `the_environment_is_heard_where_the_code_is_silent`"]
async fn in_an_environment() {
    let fixture = fixture_with(Sampler::AlwaysOn, callbacks_otel::Builder::build);
    everything(&fixture.callbacks).await.unwrap();
    let spans = fixture.spans.get_finished_spans().unwrap();
    let shown = format!("{spans:?}").contains("secret");
    println!("spans {shown}, events {}", fixture.events().len());
}

#[tokio::test]
async fn the_code_outranks_the_environment() {
    // It asks for nothing here, so what it asks for in a child is all that could differ.
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "by_code", "--ignored", "--nocapture"]);
    child.env(Capture::VARIABLE, "SPAN_AND_EVENT");
    child.env("OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT", "true");
    let child = child.output().unwrap();
    let output = String::from_utf8(child.stdout).unwrap();
    assert!(output.contains("1 passed"), "{output}");
}

#[tokio::test]
#[ignore = "run by `the_code_outranks_the_environment`"]
async fn by_code() {
    let fixture = fixture_with(Sampler::AlwaysOn, |builder| {
        builder.capture(Capture::NoContent).events(false).build()
    });
    everything(&fixture.callbacks).await.unwrap();
    let spans = fixture.spans.get_finished_spans().unwrap();
    assert!(!format!("{spans:?}").contains("secret"));
    assert!(fixture.events().is_empty());
}
