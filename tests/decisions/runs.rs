//! The run that a question is about, and where there is none.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::{Duration, SystemTime};

use callbacks::events::ToolRequest;
use callbacks::testing::{Faulty, Recorder, assert_events};
use callbacks::{
    Callbacks, Decision, EmitError, Queue, Run, RunInfo, RunKind, ToolDecision, callback_handler,
    handler,
};
use callbacks_tests::{CHAIN, Log, TOOL, logger};
use futures_util::{FutureExt, StreamExt};
use serde_json::Value;
use shop::trade::Refund;
use tokio::sync::Notify;

use super::replies::Clerk;
use super::{Tools, go_on, reason_of};

/// What is asked belongs to the run that starts then; what comes from records cannot answer.
#[tokio::test]
async fn the_question_is_of_the_run_that_starts() {
    struct Looks(Mutex<Vec<(RunInfo, u64)>>);

    impl Looks {
        fn add(&self, run: &Run<'_>) {
            self.0.lock().unwrap().push((run.info().clone(), run.seq()));
        }
    }

    #[callback_handler]
    impl Looks {
        fn on_tool_request(&self, run: &Run<'_>) -> ToolDecision {
            self.add(run);
            Decision::Continue
        }

        fn on_tool_start(&self, run: &Run<'_>) {
            self.add(run);
        }
    }

    let looks = Arc::new(Looks(Mutex::default()));
    let records = Recorder::new();
    let callbacks = Callbacks::new().with(looks.clone()).tag("prod");
    let callbacks = callbacks.with(records.clone());
    let (callbacks, stream) = callbacks.record(Queue::bounded(64));
    let chain = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
    let tool = chain
        .callbacks()
        .tool_start(&TOOL, "x")
        .name("named")
        .await
        .unwrap();
    let id = tool.id();
    let chain_id = chain.id();
    tool.end(Value::Null).await.unwrap();
    let seen = std::mem::take(&mut *looks.0.lock().unwrap());
    let [(asked, first), (started, second)] = &seen[..] else {
        panic!("{seen:?}")
    };
    for info in [asked, started] {
        assert_eq!(info.id(), id);
        assert_eq!(info.parent_id(), Some(chain_id));
        assert_eq!((info.name(), info.kind()), ("named", RunKind::Tool));
        assert_eq!(info.tags(), ["prod"]);
    }
    assert!(first < second);
    // What a handler keeps of the run when it is asked, it finds when the run starts.
    assert_eq!(asked, started);
    assert!(HashMap::from([(asked, "asked")]).contains_key(started));
    assert_events!(records, [ChainStart, ToolStart, ToolEnd]);
    drop((chain, callbacks));
    let methods: Vec<_> = stream.map(|record| record.method()).collect().await;
    assert_eq!(
        methods,
        [
            "on_chain_start",
            "on_tool_start",
            "on_tool_end",
            "on_chain_error"
        ]
    );
}

/// The time that it takes to decide is not the run's.
#[tokio::test]
async fn a_run_starts_when_it_was_decided() {
    struct Clock(Mutex<Option<SystemTime>>);

    #[callback_handler]
    impl Clock {
        async fn on_tool_request(&self, run: &Run<'_>) -> ToolDecision {
            let asked = run.started_at();
            tokio::time::sleep(Duration::from_millis(2)).await;
            assert!(run.started_at() == asked && asked < SystemTime::now());
            *self.0.lock().unwrap() = Some(SystemTime::now());
            Decision::Continue
        }

        fn on_tool_start(&self, run: &Run<'_>) {
            assert!(run.started_at() >= self.0.lock().unwrap().unwrap());
        }
    }

    let clock = handler(Clock(Mutex::default())).raise_errors();
    let callbacks = Callbacks::new().with(clock);
    drop(callbacks.tool_start(&TOOL, "x").await.unwrap());
}

/// Nothing waits inside a callback, so nothing is decided there.
#[tokio::test]
async fn inside_a_callback_a_question_is_a_stop() {
    struct Acts(Callbacks, Log, Arc<Notify>);

    #[callback_handler]
    impl Acts {
        async fn on_text(&self) {
            let started = self.0.tool_start(&TOOL, "inside").await;
            self.1.add(reason_of(started));
            let verdict = self
                .0
                .ask(Refund {
                    item: "x",
                    cents: 1,
                })
                .await
                .unwrap();
            self.1.add(format_args!("{verdict:?}"));
            self.2.notify_one();
        }
    }

    let (callbacks, seen) = logger();
    let (log, done) = (Log::new(), Arc::new(Notify::new()));
    let tools = callbacks.with(Tools(log.clone(), "clerk", go_on));
    let tools = tools.with(Clerk(log.clone()));
    let acts = Acts(tools, log.clone(), done.clone());
    let callbacks = Callbacks::new().with(acts);
    let chain = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
    chain.text("go").await.unwrap();
    done.notified().await;
    let inside = "a decision cannot be waited for inside a callback";
    assert_eq!(log.lines(), [inside.to_owned(), format!("No({inside:?})")]);
    while seen.lines().len() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        seen.lines(),
        [
            "Tool: tool start \"inside\" None None".to_owned(),
            format!("Tool: tool error Stopped {inside:?} None"),
        ]
    );
}

#[tokio::test]
async fn in_a_run_that_is_closed_nobody_is_asked() {
    let log = Log::new();
    let callbacks = Callbacks::new().with(Tools(log.clone(), "clerk", go_on));
    let (callbacks, verdicts) = (callbacks.with(Clerk(log.clone())), log.clone());
    let chain = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
    let inside = chain.callbacks().clone();
    let child = inside.chain_start(&CHAIN, Value::Null).await.unwrap();
    chain.end(Value::Null).await.unwrap();
    let started = inside.tool_start(&TOOL, "x").ask().await;
    assert!(matches!(started, Err(EmitError::RunClosed)), "{started:?}");
    let item = "tea";
    let asked = child.ask(Refund { item, cents: 1 }).await;
    assert!(matches!(asked, Err(EmitError::RunClosed)), "{asked:?}");
    assert_eq!(verdicts.lines(), [""; 0]);
}

/// Who asks can stop asking: then there was no run.
#[tokio::test]
async fn a_start_that_is_dropped_while_it_asks_leaves_no_run() {
    let (stalls, _stall) = Faulty::stall();
    let (callbacks, log) = logger();
    let callbacks = callbacks.with(stalls.on::<ToolRequest<'_>>().asynchronous());
    let mut start = Box::pin(callbacks.tool_start(&TOOL, "x").into_future());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(start.poll_unpin(&mut cx).is_pending());
    drop(start);
    let _ = callbacks.flush(Duration::from_secs(60)).await;
    assert_eq!(log.lines(), [""; 0]);
}
