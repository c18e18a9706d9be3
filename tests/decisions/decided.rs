//! What is decided is done: a run goes on, is stopped, is answered for, or has another input.

use callbacks::testing::{Recorder, assert_events};
use callbacks::{Asked, Callbacks, Decision, LlmDecision, ToolDecision};
use callbacks_tests::{Log, MODEL, TOOL, logger};
use serde_json::{Value, json};

use super::{Answer, AsyncTools, Models, Tools, four, go_on, louder, reason_of, stop};

#[tokio::test]
async fn nobody_objects() {
    let (callbacks, log) = logger();
    let callbacks = callbacks.with(Tools(log.clone(), "clerk", go_on));
    let run = callbacks.tool_start(&TOOL, "1 + 1").await.unwrap();
    run.end(json!(2)).await.unwrap();
    assert_eq!(
        log.lines(),
        [
            "clerk is asked \"1 + 1\"",
            "Tool: tool start \"1 + 1\" None None",
            "Tool: tool end 2 None",
        ]
    );
}

#[tokio::test]
async fn a_stopped_run_opens_and_closes() {
    for asks in [false, true] {
        let (callbacks, log) = logger();
        let callbacks = callbacks.with(Tools(log.clone(), "clerk", stop));
        let start = callbacks.tool_start(&TOOL, "rm").tool_call_id("7");
        let reason = if asks {
            reason_of(start.ask().await)
        } else {
            reason_of(start.await)
        };
        assert_eq!(reason, "no");
        assert_eq!(
            log.lines(),
            [
                "clerk is asked \"rm\"",
                "Tool: tool start \"rm\" None Some(\"7\")",
                "Tool: tool error Stopped \"no\" Some(\"7\")",
            ]
        );
    }
}

#[tokio::test]
async fn an_answer_ends_the_run() {
    let (callbacks, log) = logger();
    let callbacks = callbacks
        .with(Tools(log.clone(), "cache", four))
        .with(Tools(log.clone(), "late", stop));
    let asked = callbacks.tool_start(&TOOL, "2 + 2").ask().await.unwrap();
    let Asked::Answered(value) = asked else {
        panic!("{asked:?}");
    };
    assert_eq!(value, json!(4));
    assert_eq!(
        log.lines(),
        [
            "cache is asked \"2 + 2\"",
            "Tool: tool start \"2 + 2\" None None",
            "Tool: tool end 4 None",
        ]
    );
}

#[tokio::test]
async fn rewrites_compose_and_reach_the_start_and_the_framework() {
    let (callbacks, log) = logger();
    let callbacks = callbacks
        .with(Tools(log.clone(), "one", louder))
        .with(AsyncTools(log.clone(), "two", louder));
    let asked = callbacks.tool_start(&TOOL, "hi").ask().await.unwrap();
    let Asked::Go(run) = asked else {
        panic!("{asked:?}");
    };
    assert_eq!(run.input(), "hi!!");
    run.into_run().end(json!("bye")).await.unwrap();
    assert_eq!(
        log.lines(),
        [
            "one is asked \"hi\"",
            "two is asked \"hi!\"",
            "Tool: tool start \"hi!!\" None None",
            "Tool: tool end \"bye\" None",
        ]
    );
}

/// What was rewritten before a stop or an answer is what handlers see of the run.
#[tokio::test]
async fn what_was_redacted_stays_so_in_a_run_that_does_not_go_on() {
    for (then, last) in [
        (
            stop as Answer<ToolDecision>,
            "tool error Stopped \"no\" None",
        ),
        (four, "tool end 4 None"),
    ] {
        let (callbacks, log) = logger();
        let redact: Answer<ToolDecision> =
            |input| Ok(Decision::Rewrite(input.replace("a@b.c", "<mail>")));
        let callbacks = callbacks
            .with(Tools(Log::new(), "redact", redact))
            .with(Tools(Log::new(), "then", then));
        let asked = callbacks.tool_start(&TOOL, "mail a@b.c").ask().await;
        assert!(!matches!(asked, Ok(Asked::Go(_))), "{asked:?}");
        assert_eq!(
            log.lines(),
            [
                "Tool: tool start \"mail <mail>\" None None".to_owned(),
                format!("Tool: {last}")
            ]
        );
    }
}

/// The input by argument never says anything else than the input as text.
#[tokio::test]
async fn the_arguments_are_those_of_the_rewritten_input() {
    let cases: [(Answer<ToolDecision>, Option<Value>); 3] = [
        (go_on, Some(json!({ "x": 1 }))),
        (
            |_| Ok(Decision::Rewrite(r#"{"x":2}"#.to_owned())),
            Some(json!({ "x": 2 })),
        ),
        (|_| Ok(Decision::Rewrite("2".repeat(2) + "x")), None),
    ];
    for (answer, expected) in cases {
        let (seen, records) = (Recorder::new(), Log::new());
        let callbacks = Callbacks::new()
            .with(Tools(records, "clerk", answer))
            .with(seen.clone());
        let given = json!({ "x": 1 });
        let start = callbacks.tool_start(&TOOL, r#"{"x":1}"#).inputs(&given);
        drop(start.ask().await.unwrap());
        assert_events!(
            seen,
            [ToolStart { inputs } if inputs == expected.as_ref()],
            "{expected:?}"
        );
    }
}

#[tokio::test]
async fn what_the_framework_did_not_ask_for_is_a_stop() {
    for (answer, what) in [
        (louder as Answer<ToolDecision>, "decided on another input"),
        (four, "answered for the run"),
    ] {
        let reason = format!(
            "a handler {what} in `on_tool_request`, but this run was started without `.ask()`"
        );
        let (callbacks, log) = logger();
        let callbacks = callbacks.with(Tools(Log::new(), "clerk", answer));
        let stopped = callbacks.tool_start(&TOOL, "hi").await;
        assert_eq!(reason_of(stopped), reason);
        let lines = log.lines();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(
            lines[1].starts_with("Tool: tool error Stopped"),
            "{lines:?}"
        );
    }
    let other: Answer<LlmDecision> = |_| Ok(Decision::Rewrite(Vec::new()));
    let callbacks = Callbacks::new().with(Models(Log::new(), "clerk", other));
    let stopped = callbacks.llm_start(&MODEL, || vec!["hi".to_owned()]).await;
    let reason = "a handler decided on another input in `on_llm_request`, but this run was started without `.ask()`";
    assert_eq!(reason_of(stopped), reason);
    // To decide on what was given is to decide nothing.
    let (callbacks, _) = logger();
    let same: Answer<ToolDecision> = |input| Ok(Decision::Rewrite(input.to_owned()));
    let callbacks = callbacks.with(Tools(Log::new(), "clerk", same));
    drop(callbacks.tool_start(&TOOL, "hi").await.unwrap());
}
