//! Who is asked, and after what.

use std::sync::Arc;

use async_trait::async_trait;
use callbacks::events::{AsyncCallbackHandler, ByHand, CallbackHandler, LlmRequest, ToolRequest};
use callbacks::testing::{Faulty, Recorder};
use callbacks::{
    BoxError, Callbacks, Decision, Interests, LlmResult, OnFull, Queue, Run, ToolDecision,
    callback_handler, handler,
};
use callbacks_tests::{CHAIN, Log, Logger, TOOL, start};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::{AsyncTools, Tools, go_on, reason_of, stop};

/// Whoever comes later is not asked before the one before has answered, however they are called.
#[tokio::test]
async fn handlers_are_asked_one_after_another_in_registration_order() {
    struct Gate(Log, Arc<Semaphore>);

    #[callback_handler]
    impl Gate {
        async fn on_tool_request(&self) -> ToolDecision {
            self.0.add("gate");
            self.1.acquire().await.unwrap().forget();
            self.0.add("gate opens");
            Decision::Continue
        }
    }

    let (log, gate) = (Log::new(), Arc::new(Semaphore::new(0)));
    let callbacks = Callbacks::new()
        .with(Tools(log.clone(), "lane", go_on))
        .with(Gate(log.clone(), gate.clone()))
        .with(handler(Tools(log.clone(), "inline", go_on)).inline());
    let start = tokio::spawn(async move { callbacks.tool_start(&TOOL, "x").await.map(drop) });
    while log.lines().len() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(log.take(), ["lane is asked \"x\"", "gate"]);
    gate.add_permits(1);
    start.await.unwrap().unwrap();
    assert_eq!(log.take(), ["gate opens", "inline is asked \"x\""]);
}

#[tokio::test]
async fn only_except_and_background_do_not_keep_a_handler_from_answering() {
    let queue = Queue::bounded(1).on_full(OnFull::DropNewest);
    let registrations = |callbacks: Callbacks, how: usize| {
        let clerk = handler(Tools(Log::new(), "clerk", stop));
        callbacks.with(match how {
            0 => clerk.only(Interests::LLM),
            1 => clerk.except(Interests::TOOL | Interests::ALL),
            2 => clerk.background(queue),
            _ => clerk.only(Interests::NONE),
        })
    };
    for how in 0..4 {
        let callbacks = registrations(Callbacks::new(), how);
        assert!(callbacks.wants::<ToolRequest<'_>>());
        assert_eq!(reason_of(callbacks.tool_start(&TOOL, "x").await), "no");
    }
    let callbacks =
        Callbacks::new().with(handler(AsyncTools(Log::new(), "clerk", stop)).background(queue));
    assert_eq!(reason_of(callbacks.tool_start(&TOOL, "x").await), "no");
}

/// A background handler is asked after what is in its queue.
#[tokio::test]
async fn a_question_waits_for_what_was_queued_for_the_handler() {
    struct Clerk(Log);

    #[callback_handler]
    impl Clerk {
        fn on_text(&self, text: &str) {
            self.0.add(text);
        }

        fn on_tool_request(&self) -> ToolDecision {
            self.0.add("asked");
            Decision::Continue
        }
    }

    let log = Log::new();
    let clerk = handler(Clerk(log.clone())).background(Queue::bounded(256));
    let chain = Callbacks::new().with(clerk);
    let chain = chain.chain_start(&CHAIN, Value::Null).await.unwrap();
    let texts: Vec<_> = (0..100).map(|number| number.to_string()).collect();
    for text in &texts {
        chain.text(text).await.unwrap();
    }
    let tool = chain.callbacks().tool_start(&TOOL, "x").await.unwrap();
    let mut expected = texts;
    expected.push("asked".to_owned());
    assert_eq!(log.lines(), expected);
    drop(tool);
}

#[tokio::test]
async fn local_handlers_are_not_asked_about_children() {
    let log = Log::new();
    let callbacks = Callbacks::new().with_local(Tools(log.clone(), "local", stop));
    let chain = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
    drop(chain.callbacks().tool_start(&TOOL, "x").await.unwrap());
    assert_eq!(log.lines(), [""; 0]);
    assert_eq!(reason_of(callbacks.tool_start(&TOOL, "x").await), "no");
}

/// Without `&mut self` it would need a lock; with it, the second question finds the first counted.
#[tokio::test]
async fn an_exclusive_handler_is_asked() {
    struct Budget(u32);

    #[callback_handler]
    impl Budget {
        fn on_tool_request(&mut self) -> ToolDecision {
            match self.0.checked_sub(1) {
                Some(left) => {
                    self.0 = left;
                    Decision::Continue
                }
                None => Decision::Stop("spent".to_owned()),
            }
        }
    }

    let callbacks = Callbacks::new().with(Budget(2));
    drop(callbacks.tool_start(&TOOL, "x").await.unwrap());
    drop(callbacks.tool_start(&TOOL, "x").await.unwrap());
    assert_eq!(reason_of(callbacks.tool_start(&TOOL, "x").await), "spent");
}

#[tokio::test]
async fn a_handler_written_by_hand_is_asked_by_both_of_its_methods() {
    struct Hand(Log);

    impl CallbackHandler for Hand {
        fn on_tool_request(
            &self,
            event: &ToolRequest<'_>,
            _: &Run<'_>,
        ) -> Result<ToolDecision, BoxError> {
            self.0.add(format_args!("plain {}", event.input));
            Ok(Decision::Rewrite("more".to_owned()))
        }
    }

    #[async_trait]
    impl AsyncCallbackHandler for Hand {
        async fn on_tool_request(
            &self,
            event: &ToolRequest<'_>,
            _: &Run<'_>,
        ) -> Result<ToolDecision, BoxError> {
            self.0.add(format_args!("async {}", event.input));
            Err("no".into())
        }
    }

    let log = Log::new();
    let callbacks = Callbacks::new().with(ByHand(Hand(log.clone())));
    let reason = reason_of(callbacks.tool_start(&TOOL, "x").ask().await);
    assert!(
        reason.ends_with("failed in `on_tool_request`: no"),
        "{reason}"
    );
    assert_eq!(log.lines(), ["plain x", "async more"]);
    // The methods that it does not have let everything pass.
    start(&callbacks)
        .await
        .end(LlmResult::default())
        .await
        .unwrap();
}

/// Those who only look at everything are not asked.
#[tokio::test]
async fn an_observer_of_everything_is_no_decider() {
    let faulty = Faulty::error("looks at everything");
    let callbacks = Callbacks::new().with(faulty).with(Logger::default());
    let callbacks = callbacks.with(Recorder::new());
    let (callbacks, _records) = callbacks.record(Queue::bounded(8));
    assert!(!callbacks.wants::<ToolRequest<'_>>());
    assert!(!callbacks.wants::<LlmRequest<'_>>());
    drop(callbacks.tool_start(&TOOL, "x").await.unwrap());
}
