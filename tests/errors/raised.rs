//! Failures that are raised: which, when, and what becomes of the run.

use std::sync::Arc;

use callbacks::events::LlmStart;
use callbacks::{
    Callbacks, ErrorKind, Event, Interests, LlmResult, RunError, callback_handler, handler,
};
use callbacks_tests::{CHAIN, Log, Logger, MODEL, Tokens, raised, start};
use serde_json::Value;

use super::{AsyncFailing, Failing, Never, failures, failures_of};

#[tokio::test]
async fn raised_errors_reach_the_emitter_however_the_handler_is_called() {
    failures();
    let log = Log::new();
    let name = "other";
    let other = Arc::new(Tokens {
        log: log.clone(),
        name,
    });
    let base = Callbacks::new().with(other);
    let all = [
        base.with(handler(Failing).raise_errors().named("mine")),
        base.with(handler(Failing).raise_errors().named("mine").inline()),
        base.with(handler(AsyncFailing).raise_errors().named("mine")),
    ];
    for callbacks in all {
        let run = start(&callbacks).await;
        for (token, error) in [
            ("error", "no error"),
            ("panic", "the handler panicked: oh panic"),
        ] {
            let mine = ("mine".to_owned(), "on_llm_new_token", error.to_owned());
            assert_eq!(raised(run.new_token(token).await), mine);
        }
        assert_eq!(log.take(), ["other error", "other panic"]);
        assert_eq!(failures_of(&run).len(), 2, "logged as well");
    }
}

#[tokio::test]
async fn the_first_in_registration_order_is_raised_after_all_are_done() {
    struct Slow(Log);

    #[callback_handler]
    impl Slow {
        async fn on_llm_new_token(&self) {
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            self.0.add("slow");
        }
    }

    let log = Log::new();
    let callbacks = Callbacks::new()
        .with(handler(Failing).named("quiet").inline())
        .with(handler(AsyncFailing).named("async").raise_errors())
        .with(handler(Failing).named("lane").raise_errors())
        .with(handler(Failing).named("inline").raise_errors().inline())
        .with(Slow(log.clone()));
    let run = start(&callbacks).await;
    for _ in 0..20 {
        let (handler, ..) = raised(run.new_token("error").await);
        assert_eq!(handler, "async");
        assert_eq!(log.take(), ["slow"]);
    }
}

#[tokio::test]
async fn an_error_out_of_a_start_has_closed_the_run() {
    let (logger, log) = (Logger::default(), Log::new());
    let events = logger.0.clone();
    struct Errors(Log);

    #[callback_handler]
    impl Errors {
        fn on_llm_error(&self, error: &RunError) {
            assert_eq!(error.kind, ErrorKind::Failed);
            self.0.add(format_args!("{error} {:?}", error.sources));
        }
    }

    let callbacks = Callbacks::new()
        .with(logger)
        .with(handler(Never).raise_errors().named("never"))
        .with(Errors(log.clone()));
    let started = callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]);
    let started = started.await.map(drop);
    let never = ("never".to_owned(), "on_llm_start", "no start".to_owned());
    assert_eq!(raised(started), never);
    let expected = [
        r#"Model: llm start ["Why?"]"#,
        "Model: llm error Failed None",
    ];
    assert_eq!(events.lines(), expected);
    let message = r#"the callback handler `never` failed in `on_llm_start` ["no start"]"#;
    assert_eq!(log.lines(), [message]);
}

#[tokio::test]
async fn an_error_out_of_an_end_comes_after_its_delivery() {
    let logger = Logger::default();
    let log = logger.0.clone();
    let never = handler(Never)
        .raise_errors()
        .except(Interests::of(&[LlmStart::INDEX]));
    let callbacks = Callbacks::new().with(logger).with(never);
    let root = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
    let run = root
        .callbacks()
        .llm_start(&MODEL, Vec::new())
        .await
        .unwrap();
    // abandoned, where nobody is there to raise it to
    let _tool = root.callbacks().tool_start(None, "").await.unwrap();
    log.take();
    let (_, event, error) = raised(run.end(LlmResult::from_text("done")).await);
    assert_eq!((event, &*error), ("on_llm_end", "no end"));
    assert_eq!(log.take(), [r#"Model: llm end "done" None"#]);
    root.end(Value::Null).await.unwrap();
    assert_eq!(log.lines().len(), 2);
}
