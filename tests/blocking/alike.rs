//! What the async flavour does, the blocking one does, in all places.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use callbacks::events::{LlmEnd, LlmNewToken};
use callbacks::testing::{Faulty, Recorder, assert_events};
use callbacks::{
    Asked, Callbacks, Decision, EmitError, Exclusive, LlmResult, Queue, RunError, callback_handler,
    handler,
};
use callbacks_tests::{CHAIN, Log, MODEL, TOOL, logger, prompts};
use serde_json::{Value, json};
use shop::trade::{Refund, Sold};

use super::methods::Pooled;
use super::{LONG, call, everywhere};

#[test]
fn everything_is_in_order() {
    everywhere(|place| {
        let (callbacks, log) = logger();
        let callbacks = callbacks.blocking();
        let chain = callbacks.chain_start(&CHAIN, json!(1)).start().unwrap();
        let inside = chain.callbacks();
        let tool = inside.tool_start(&TOOL, "x").tool_call_id("7").start();
        let tool = tool.unwrap();
        tool.text("working").unwrap();
        tool.retry(callbacks::RetryState::new(1)).unwrap();
        tool.custom_event("progress", json!(0.5)).unwrap();
        tool.end(json!(2)).unwrap();
        let retriever = inside.retriever_start(&CHAIN, "q").start().unwrap();
        retriever.finish(Ok::<_, RunError>(Vec::new())).unwrap();
        let model = inside
            .chat_model_start(&MODEL, Vec::<callbacks::Message>::new())
            .start()
            .unwrap();
        model.new_chunk(callbacks::Chunk::text("a")).unwrap();
        model
            .error_with_partial(RunError::new("cut"), LlmResult::from_text("a"))
            .unwrap();
        chain
            .agent_action(callbacks::AgentAction::new("tool", json!("x")))
            .unwrap();
        chain
            .agent_finish(callbacks::AgentFinish::new(json!("y")))
            .unwrap();
        chain.error(RunError::new("no")).unwrap();
        assert_eq!(
            log.lines(),
            [
                "Chain: chain start 1",
                "Tool: tool start \"x\" None Some(\"7\")",
                "Tool: text \"working\"",
                "Tool: retry 1",
                "Tool: custom \"progress\" 0.5",
                "Tool: tool end 2 Some(\"7\")",
                "Chain: retriever start \"q\"",
                "Chain: retriever end 0",
                "Model: chat model start []",
                "Model: token \"a\" Some(\"a\") 0",
                "Model: llm error Failed Some(\"a\")",
                "Chain: agent action \"tool\"",
                "Chain: agent finish \"y\"",
                "Chain: chain error Failed",
            ],
            "{place}"
        );
    });
}

/// Handlers that nobody waits for, of both sorts.
#[derive(Default)]
struct Slow(Log);

#[callback_handler]
impl Slow {
    fn on_llm_new_token(&self, token: &str) {
        self.0.add(format_args!("plain {token}"));
    }

    async fn on_llm_end(&self, response: &LlmResult) {
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.0.add(format_args!("async {}", response.text()));
    }
}

#[test]
fn background_handlers_flush_and_records_work() {
    everywhere(|place| {
        let log = Log::new();
        let slow = handler(Slow(log.clone())).named("slow");
        let callbacks = Callbacks::new().with(slow.background(Queue::bounded(1)));
        let (callbacks, records) = callbacks.record(Queue::bounded(64));
        let callbacks = callbacks.blocking();
        call(&callbacks).unwrap();
        let report = callbacks.flush(LONG);
        let slow = report.handler("slow").unwrap();
        assert_eq!(
            (slow.delivered, slow.pending),
            (3, 0),
            "{place}: {report:?}"
        );
        assert_eq!(log.lines(), ["plain Be", "plain cause", "async Because"]);
        drop((callbacks, records));
    });
}

#[test]
fn a_dropped_guard_closes_its_run() {
    everywhere(|place| {
        let (callbacks, log) = logger();
        let callbacks = callbacks.with(Pooled::default()).blocking();
        drop(callbacks.llm_start(&MODEL, prompts).start().unwrap());
        assert!(callbacks.flush(LONG).is_complete(), "{place}");
        assert_eq!(
            log.lines(),
            [
                "Model: llm start [\"Why?\"]",
                "Model: llm error Dropped None"
            ],
            "{place}"
        );
    });
}

#[test]
fn decisions_are_asked() {
    struct Approver;

    #[callback_handler]
    impl Approver {
        async fn on_tool_request(&self, input: &str) -> Decision<String, Value> {
            tokio::time::sleep(Duration::from_millis(1)).await;
            match input {
                "2 + 2" => Decision::Answer(json!(4)),
                "rm" => Decision::Stop("no".to_owned()),
                other => Decision::Rewrite(format!("{other}!")),
            }
        }
    }

    #[callback_handler(events = shop::trade)]
    impl Approver {
        fn on_refund(&self, cents: u64) -> shop::Verdict {
            shop::Verdict::Less(cents / 2)
        }
    }

    everywhere(|place| {
        let approver = Arc::new(Approver);
        let callbacks = Callbacks::new()
            .with::<callbacks::events::Events, _>(approver.clone())
            .with::<shop::trade::Events, _>(approver)
            .blocking();
        let answered = callbacks.tool_start(&TOOL, "2 + 2").ask().start().unwrap();
        assert!(
            matches!(answered, Asked::Answered(value) if value == 4),
            "{place}"
        );
        let Asked::Go(run) = callbacks.tool_start(&TOOL, "hi").ask().start().unwrap() else {
            panic!("{place}")
        };
        assert_eq!(run.input(), "hi!");
        let refund = Refund {
            item: "tea",
            cents: 10,
        };
        assert_eq!(run.ask(refund).unwrap(), shop::Verdict::Yes);
        let (_, halved) = run.ask_to_rewrite(refund).unwrap();
        assert_eq!(halved.cents, 5, "{place}");
        run.end(json!("bye")).unwrap();
        let (_, halved) = callbacks.ask_to_rewrite(refund).unwrap();
        assert_eq!(halved.cents, 5);
        assert_eq!(callbacks.ask(refund).unwrap(), shop::Verdict::Yes);
        let stopped = callbacks.tool_start(&TOOL, "rm").start();
        assert!(matches!(stopped, Err(EmitError::Stopped { .. })), "{place}");
    });
}

#[test]
fn events_of_any_set_are_emitted() {
    struct Ledger(Log);

    #[callback_handler(events = shop::trade)]
    impl Ledger {
        async fn on_sold(&self, item: &str) {
            self.0.add(item);
        }
    }

    everywhere(|place| {
        let log = Log::new();
        let callbacks = Callbacks::new().with(Ledger(log.clone())).blocking();
        let sold = |item| Sold {
            item,
            count: 1,
            order: None,
            orders: &[],
        };
        callbacks.emit(sold("tea")).unwrap();
        let chain = callbacks.chain_start(&CHAIN, Value::Null).start().unwrap();
        chain.emit(sold("cup")).unwrap();
        chain
            .callbacks()
            .custom_event("nobody", || panic!())
            .unwrap();
        assert_eq!(log.lines(), ["tea", "cup"], "{place}");
    });
}

#[test]
fn failures_are_raised() {
    everywhere(|place| {
        for faulty in [
            Faulty::error("no"),
            Faulty::panic("no"),
            Faulty::error("no").asynchronous(),
        ] {
            let records = Recorder::new();
            let faulty = handler(faulty.on::<LlmNewToken<'_>>()).raise_errors();
            let callbacks = Callbacks::new().with(faulty).with(records.clone());
            let run = callbacks
                .blocking()
                .llm_start(&MODEL, prompts)
                .start()
                .unwrap();
            let raised = run.new_token("a");
            assert!(matches!(raised, Err(EmitError::Raised { .. })), "{place}");
            run.end(LlmResult::default()).unwrap();
            assert_events!(records, [LlmStart, LlmNewToken, LlmEnd], "{place}");
        }
    });
}

#[test]
fn a_timeout_bounds_async_methods() {
    everywhere(|place| {
        let (stalls, stall) = Faulty::stall();
        let stalls = stalls.on::<LlmEnd<'_>>().asynchronous();
        let stalls = handler(stalls).timeout(Duration::from_millis(10));
        let callbacks = Callbacks::new().with(stalls.named("stalls")).blocking();
        call(&callbacks).unwrap();
        let report = callbacks.flush(LONG);
        assert_eq!(report.handler("stalls").unwrap().timed_out, 1, "{place}");
        drop(stall);
    });
}

/// What a handler emits is put off, as always: nothing is called in the middle of anything.
#[test]
fn inside_a_callback_nothing_blocks() {
    struct Acts(Callbacks, Log);

    #[callback_handler]
    impl Acts {
        fn on_llm_end(&self) {
            let callbacks = self.0.blocking();
            let tool = callbacks.tool_start(&TOOL, "inside").start().unwrap();
            tool.text("soon").unwrap();
            self.1.add("acting");
            tool.end(Value::Null).unwrap();
            assert!(callbacks.flush(LONG).handlers.len() == 1);
            self.1.add("acted");
        }
    }

    everywhere(|place| {
        let (others, log) = logger();
        let callbacks = Callbacks::new().with(Acts(others, log.clone()));
        call(&callbacks.blocking()).unwrap();
        assert_eq!(
            log.lines(),
            [
                "acting",
                "acted",
                "Tool: tool start \"inside\" None None",
                "Tool: text \"soon\"",
                "Tool: tool end null None",
            ],
            "{place}"
        );
    });
}

#[test]
fn exclusive_handlers_are_never_called_two_at_once() {
    #[derive(Default)]
    struct Counter(u32);

    #[callback_handler]
    impl Counter {
        fn on_llm_new_token(&mut self) {
            let before = self.0;
            thread::yield_now();
            self.0 = before + 1;
        }
    }

    let counter = Exclusive::new(Counter::default());
    let callbacks = Callbacks::new().with(counter.clone());
    thread::scope(|scope| {
        for _ in 0..4 {
            let callbacks = callbacks.blocking();
            scope.spawn(move || {
                for _ in 0..50 {
                    call(&callbacks).unwrap();
                }
            });
        }
    });
    assert_eq!(counter.with(|counter| counter.0), 400);
}
