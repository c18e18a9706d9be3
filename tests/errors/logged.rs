//! Failures are logged once, and stop nobody.

use std::task::{Context, Waker};

use callbacks::{Callbacks, handler};
use callbacks_tests::{Log, Tokens, start};

use super::{AsyncFailing, Failing, failures, failures_of};

#[tokio::test]
async fn failures_are_logged_once_and_stop_nobody() {
    failures();
    let log = Log::new();
    let callbacks = Callbacks::new()
        .with(handler(Failing).named("lane"))
        .with(handler(Failing).inline().named("inline"))
        .with(handler(AsyncFailing).named("async"))
        .with(Tokens {
            log: log.clone(),
            name: "other",
        });
    let run = start(&callbacks).await;
    for token in ["error", "panic", "error"] {
        run.new_token(token).await.unwrap();
    }
    assert_eq!(log.lines(), ["other error", "other panic", "other error"]);

    let failures = failures_of(&run);
    for name in ["lane", "inline", "async"] {
        let prefix = format!(r#"handler="{name}" method="on_llm_new_token" error="#);
        let failures: Vec<_> = failures
            .iter()
            .filter_map(|line| line.strip_prefix(&prefix))
            .collect();
        let expected = ["no error", "the handler panicked: oh panic", "no error"];
        assert_eq!(failures, expected, "{name}");
    }
    assert_eq!(failures.len(), 9);
}

#[tokio::test]
async fn options_add_up() {
    failures();
    let inner = handler(Failing).named("inner");
    let run = start(&Callbacks::new().with(handler(inner).inline())).await;
    let mut emission = Box::pin(run.new_token("error"));
    let polled = emission
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_ready(), "inline");
    drop(emission);
    let failures = failures_of(&run);
    assert_eq!(
        failures,
        [r#"handler="inner" method="on_llm_new_token" error=no error"#]
    );
}
