//! Questions that are dropped, closed over, repeated, late and many.

use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use callbacks::testing::Recorder;
use callbacks::{
    Asked, Callbacks, Decision, EmitError, Exclusive, Queue, ToolDecision, callback_handler,
    handler,
};
use callbacks_tests::{CHAIN, Log, TOOL, logger, yields};
use futures_util::FutureExt;
use serde_json::{Value, json};
use tokio::runtime::Builder;

use super::LONG;

/// Is pending as often as it is told to be, then answers.
struct Patient(usize, ToolDecision);

#[callback_handler]
impl Patient {
    async fn on_tool_request(&self) -> ToolDecision {
        yields(self.0).await;
        self.1.clone()
    }

    async fn on_tool_start(&self) {
        yields(self.0).await;
    }

    async fn on_tool_end(&self) {
        yields(self.0).await;
    }

    async fn on_tool_error(&self) {
        yields(self.0).await;
    }
}

#[tokio::test]
async fn a_start_that_is_dropped_at_each_await_is_balanced() {
    for decision in [
        Decision::Continue,
        Decision::Rewrite("y".to_owned()),
        Decision::Answer(json!(4)),
        Decision::Stop("no".to_owned()),
    ] {
        for asks in [false, true] {
            let mut polls = 0;
            loop {
                let records = Recorder::new();
                let callbacks = Callbacks::new()
                    .with(Patient(3, decision.clone()))
                    .with(Patient(2, Decision::Continue))
                    .with(records.clone());
                let chain = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
                let inside = chain.callbacks().clone();
                let mut start = if asks {
                    async { inside.tool_start(&TOOL, "x").ask().await.map(drop) }.boxed()
                } else {
                    async { inside.tool_start(&TOOL, "x").await.map(drop) }.boxed()
                };
                let mut cx = Context::from_waker(Waker::noop());
                let mut ready = false;
                for _ in 0..polls {
                    ready = start.poll_unpin(&mut cx).is_ready();
                    if ready {
                        break;
                    }
                    thread::yield_now();
                }
                drop(start);
                chain.end(Value::Null).await.unwrap();
                assert!(callbacks.flush(LONG).await.is_complete());
                records.assert_balanced();
                records.assert_in_order();
                if ready {
                    break;
                }
                polls += 1;
                assert!(polls < 10_000);
            }
            assert!(polls > 3, "{polls}");
        }
    }
}

#[tokio::test]
async fn a_parent_that_closes_at_each_await_of_a_start() {
    for decision in [
        Decision::Continue,
        Decision::Rewrite("y".to_owned()),
        Decision::Answer(json!(4)),
        Decision::Stop("no".to_owned()),
    ] {
        for polls in 0..40 {
            let records = Recorder::new();
            let callbacks = Callbacks::new()
                .with(Patient(3, decision.clone()))
                .with(Patient(2, Decision::Continue))
                .with(records.clone());
            let chain = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
            let inside = chain.callbacks().clone();
            let mut start = async { inside.tool_start(&TOOL, "x").ask().await.map(drop) }.boxed();
            let mut cx = Context::from_waker(Waker::noop());
            let mut ended = None;
            for _ in 0..polls {
                if let Poll::Ready(result) = start.poll_unpin(&mut cx) {
                    ended = Some(result);
                    break;
                }
                thread::sleep(Duration::from_micros(200));
            }
            chain.end(Value::Null).await.unwrap();
            let last = match ended {
                Some(result) => result,
                None => start.await,
            };
            assert!(callbacks.flush(LONG).await.is_complete());
            records.assert_balanced();
            records.assert_in_order();
            drop(last);
        }
    }
}

#[tokio::test]
async fn one_handler_is_asked_once_however_often_it_is_registered() {
    let log = Log::new();
    let clerk = Arc::new(Clerk(log.clone()));
    let one = Callbacks::new().with(clerk.clone());
    let all = one
        .with(clerk.clone())
        .with_local(clerk.clone())
        .merge(&one)
        .merge_local(&one)
        .merge(&Callbacks::new().with(handler(clerk).inline()));
    drop(all.tool_start(&TOOL, "x").await.unwrap());
    drop(all.blocking().tool_start(&TOOL, "x").start().unwrap());
    assert_eq!(log.lines(), ["asked", "asked"]);
}

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

/// The same for one with async methods, awaited. `tests/decisions.rs` says "A background handler is
/// asked after what is in its queue"; this is so for plain methods alone.
#[tokio::test]
async fn an_async_background_handler_is_asked_after_its_queue() {
    struct Slow(Log);

    #[callback_handler]
    impl Slow {
        async fn on_text(&self, text: &str) {
            tokio::task::yield_now().await;
            self.0.add(text);
        }

        async fn on_tool_request(&self) -> ToolDecision {
            self.0.add("asked");
            Decision::Continue
        }
    }

    let log = Log::new();
    let slow = handler(Slow(log.clone())).background(Queue::bounded(256));
    let callbacks = Callbacks::new().with(slow);
    let chain = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
    for text in ["a", "b", "c"] {
        chain.text(text).await.unwrap();
    }
    drop(chain.callbacks().tool_start(&TOOL, "x").await.unwrap());
    let _ = callbacks.flush(LONG).await;
    assert_eq!(log.lines(), ["a", "b", "c", "asked"]);
}

/// Many at once, by one exclusive handler; each of them gets its own answer.
#[test]
fn an_exclusive_handler_is_asked_by_many_trees_at_once() {
    #[derive(Default)]
    struct Even(bool);

    #[callback_handler]
    impl Even {
        fn on_tool_request(&mut self, input: &str) -> ToolDecision {
            assert!(!std::mem::replace(&mut self.0, true));
            thread::yield_now();
            self.0 = false;
            match input.parse::<u32>().unwrap() % 3 {
                0 => Decision::Continue,
                1 => Decision::Rewrite(format!("{input}0")),
                _ => Decision::Answer(json!(input)),
            }
        }
    }

    let even = Exclusive::new(Even::default());
    thread::scope(|scope| {
        for flavour in 0..4 {
            let callbacks = Callbacks::new().with(even.clone());
            scope.spawn(move || {
                let mut runtime = if flavour % 2 == 0 {
                    Builder::new_current_thread()
                } else {
                    Builder::new_multi_thread()
                };
                let runtime = runtime.build().unwrap();
                for number in 0..200u32 {
                    let input = number.to_string();
                    let asked = if flavour < 2 {
                        runtime.block_on(async {
                            let asked = callbacks.tool_start(&TOOL, &input).ask().await.unwrap();
                            match asked {
                                Asked::Go(run) => Asked::Go(run.input().to_owned()),
                                Asked::Answered(value) => Asked::Answered(value),
                            }
                        })
                    } else {
                        match callbacks
                            .blocking()
                            .tool_start(&TOOL, &input)
                            .ask()
                            .start()
                            .unwrap()
                        {
                            Asked::Go(run) => Asked::Go(run.input().to_owned()),
                            Asked::Answered(value) => Asked::Answered(value),
                        }
                    };
                    let expected = match number % 3 {
                        0 => Asked::Go(input.clone()),
                        1 => Asked::Go(format!("{input}0")),
                        _ => Asked::Answered(json!(input)),
                    };
                    assert_eq!(asked, expected);
                }
            });
        }
    });
}

/// A late answer to one question is none to the next.
#[tokio::test]
async fn a_late_answer_is_none_to_the_next_question() {
    struct Late(Mutex<mpsc::Receiver<()>>);

    #[callback_handler]
    impl Late {
        fn on_tool_request(&self, input: &str) -> ToolDecision {
            if input == "slow" {
                let _ = self.0.lock().unwrap().recv_timeout(LONG);
                return Decision::Answer(json!("late"));
            }
            Decision::Continue
        }
    }

    let (open, gate) = mpsc::channel();
    let late = handler(Late(Mutex::new(gate))).timeout(Duration::from_millis(200));
    let callbacks = Callbacks::new().with(late);
    let chain = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
    for _ in 0..3 {
        let slow = chain.callbacks().tool_start(&TOOL, "slow").ask().await;
        assert!(matches!(slow, Err(EmitError::Stopped { .. })), "{slow:?}");
        open.send(()).unwrap();
        let quick = chain.callbacks().tool_start(&TOOL, "quick").ask().await;
        match quick.unwrap() {
            Asked::Go(run) => assert_eq!(run.input(), "quick"),
            Asked::Answered(value) => panic!("{value}"),
        }
    }
}

/// What a handler puts off where it is asked comes before the next is asked, and before the start.
#[tokio::test]
async fn what_is_emitted_in_a_question_comes_before_the_next() {
    struct Emits(Callbacks);

    #[callback_handler]
    impl Emits {
        async fn on_tool_request(&self) -> ToolDecision {
            self.0.custom_event("deciding", Value::Null).await.unwrap();
            let inner = self.0.chain_start(&CHAIN, json!("inner")).await.unwrap();
            inner.end(json!("inner")).await.unwrap();
            Decision::Continue
        }
    }

    let (callbacks, log) = logger();
    let chain = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
    let inside = chain.callbacks().clone();
    let asks = inside.with(Emits(inside.clone())).with(Clerk(log.clone()));
    for blocks in [false, true] {
        log.take();
        if blocks {
            drop(asks.blocking().tool_start(&TOOL, "x").start().unwrap());
        } else {
            drop(asks.tool_start(&TOOL, "x").await.unwrap());
        }
        let lines = log.lines();
        assert_eq!(
            lines[..5],
            [
                "Chain: custom \"deciding\" null",
                "Chain: chain start \"inner\"",
                "Chain: chain end \"inner\"",
                "asked",
                "Tool: tool start \"x\" None None"
            ],
            "{blocks}"
        );
    }
}
