//! Whatever goes wrong in a decision is a stop, and is counted as any failure.

use std::time::Duration;

use callbacks::events::ToolRequest;
use callbacks::testing::Faulty;
use callbacks::{Callbacks, EmitError, ToolDecision, handler};
use callbacks_tests::{Log, TOOL, logger};

use super::{Answer, AsyncTools, Tools, go_on, reason_of, stop};

#[tokio::test(start_paused = true)]
async fn what_goes_wrong_is_a_stop() {
    let fails: Answer<ToolDecision> = |_| Err("no terminal".into());
    let panics: Answer<ToolDecision> = |_| panic!("a bug");
    let cases = [
        (fails, "failed in `on_tool_request`: no terminal"),
        (panics, "the handler panicked: a bug"),
    ];
    for (answer, expected) in cases {
        for inline in [false, true] {
            let (callbacks, log) = logger();
            let clerk = handler(Tools(Log::new(), "clerk", answer)).named("clerk");
            let clerk = if inline { clerk.inline() } else { clerk };
            let callbacks = callbacks
                .with(clerk)
                .with(Tools(log.clone(), "next", go_on));
            let reason = reason_of(callbacks.tool_start(&TOOL, "x").ask().await);
            assert!(reason.contains("`clerk`"), "{reason}");
            assert!(reason.contains(expected), "{reason}");
            assert_eq!(log.lines().len(), 2, "{:?}", log.lines());
        }
        let (callbacks, _) = logger();
        let callbacks = callbacks.with(AsyncTools(Log::new(), "clerk", answer));
        let reason = reason_of(callbacks.tool_start(&TOOL, "x").await);
        assert!(reason.contains(expected), "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_decision_that_takes_too_long_is_a_stop() {
    let (stalls, stall) = Faulty::stall();
    let plain = stalls.clone().on::<ToolRequest<'_>>();
    let future = stalls.on::<ToolRequest<'_>>().asynchronous();
    for slow in [plain, future] {
        let slow = handler(slow).timeout(Duration::from_secs(5)).named("slow");
        let (callbacks, log) = logger();
        let callbacks = callbacks.with(slow);
        let reason = reason_of(callbacks.tool_start(&TOOL, "x").await);
        assert!(reason.contains("took longer than 5s"), "{reason}");
        assert_eq!(log.lines().len(), 2);
        let report = callbacks.flush(Duration::ZERO).await;
        assert_eq!(report.handler("slow").unwrap().timed_out, 1);
    }
    stall.release();
}

/// A failing handler fails as always: it is counted, whether its errors are raised or not.
#[tokio::test]
async fn a_failure_is_counted_once() {
    let clerk = Faulty::error("no").on::<ToolRequest<'_>>();
    for raised in [false, true] {
        let counted = handler(clerk.clone()).named("clerk");
        let counted = if raised {
            counted.raise_errors()
        } else {
            counted
        };
        let callbacks = Callbacks::new().with(counted);
        let reason = reason_of(callbacks.tool_start(&TOOL, "x").await);
        assert!(reason.ends_with("no"), "{reason}");
        let report = callbacks.flush(Duration::ZERO).await;
        assert_eq!(report.handler("clerk").unwrap().failed, 1);
    }
}

/// A start that fails for another reason says so.
#[tokio::test]
async fn a_raised_error_of_the_start_comes_before_the_decision() {
    let fails = Faulty::error("no disk").on::<callbacks::events::ToolStart<'_>>();
    let callbacks = Callbacks::new()
        .with(Tools(Log::new(), "clerk", stop))
        .with(handler(fails).raise_errors());
    let started = callbacks.tool_start(&TOOL, "x").await;
    assert!(
        matches!(started, Err(EmitError::Raised { .. })),
        "{started:?}"
    );
}
