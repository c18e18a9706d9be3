//! Decision events: handlers are asked one after another before a run starts, what they decide is done,
//! and whatever goes wrong is a stop.
#![allow(
    clippy::unnecessary_wraps,
    reason = "the answers of all handlers here have one type, whether they can fail or not"
)]

mod asked;
mod fails_closed;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use callbacks::events::{
    AsyncCallbackHandler, ByHand, CallbackHandler, LlmRequest, ToolRequest, owned,
};
use callbacks::testing::{Faulty, Recorder as Records, assert_events};
use callbacks::{
    Asked, BoxError, Callbacks, Decision, EmitError, ErrorKind, Interests, LlmResult, Message,
    OnFull, Queue, Reply, Run, RunId, RunInfo, RunKind, Serialized, callback_handler, handler,
};
use callbacks_tests::{Log, Recorder, recorder, start};
use futures_util::{FutureExt, StreamExt};
use serde_json::{Value, json};
use shop::trade::Refund;
use shop::{Verdict, refund};
use tokio::sync::{Notify, Semaphore};

static TOOL: Serialized = Serialized::new("Tool");
static MODEL: Serialized = Serialized::new("Model");
static CHAIN: Serialized = Serialized::new("Chain");

const LONG: Duration = Duration::from_secs(20);

type ToolDecision = Decision<String, Value>;
type ModelDecision = Decision<Vec<Message>, LlmResult>;
type Answer<D> = fn(&str) -> Result<D, BoxError>;

/// Decides about tools, and says so.
struct Tools(Log, &'static str, Answer<ToolDecision>);

#[callback_handler]
impl Tools {
    fn on_tool_request(&self, input: &str) -> Result<ToolDecision, BoxError> {
        self.0.add(format_args!("{} is asked {input:?}", self.1));
        (self.2)(input)
    }
}

/// The same in an async method, which is not ready at once.
struct AsyncTools(Log, &'static str, Answer<ToolDecision>);

#[callback_handler]
impl AsyncTools {
    async fn on_tool_request(&self, input: &str) -> Result<ToolDecision, BoxError> {
        self.0.add(format_args!("{} is asked {input:?}", self.1));
        tokio::task::yield_now().await;
        (self.2)(input)
    }
}

/// Decides about models.
struct Models(Log, &'static str, Answer<ModelDecision>);

#[callback_handler]
impl Models {
    fn on_llm_request(&self, messages: &[Message]) -> Result<ModelDecision, BoxError> {
        let text = callbacks::buffer_string(messages);
        self.0.add(format_args!("{} is asked {text:?}", self.1));
        (self.2)(&text)
    }
}

fn go_on<R, A>(_: &str) -> Result<Decision<R, A>, BoxError> {
    Ok(Decision::Continue)
}

fn stop<R, A>(_: &str) -> Result<Decision<R, A>, BoxError> {
    Ok(Decision::Stop("no".to_owned()))
}

fn louder(input: &str) -> Result<ToolDecision, BoxError> {
    Ok(Decision::Rewrite(format!("{input}!")))
}

fn four(_: &str) -> Result<ToolDecision, BoxError> {
    Ok(Decision::Answer(json!(4)))
}

fn reason_of<T: std::fmt::Debug>(result: Result<T, EmitError>) -> String {
    match result {
        Err(EmitError::Stopped { reason }) => reason,
        other => panic!("not stopped: {other:?}"),
    }
}

#[tokio::test]
async fn nobody_objects() {
    let (callbacks, log) = recorder();
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
        let (callbacks, log) = recorder();
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
    let (callbacks, log) = recorder();
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
    let (callbacks, log) = recorder();
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
        let (callbacks, log) = recorder();
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
        let (seen, records) = (Records::new(), Log::new());
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
        let (callbacks, log) = recorder();
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
    let other: Answer<ModelDecision> = |_| Ok(Decision::Rewrite(Vec::new()));
    let callbacks = Callbacks::new().with(Models(Log::new(), "clerk", other));
    let stopped = callbacks.llm_start(&MODEL, || vec!["hi".to_owned()]).await;
    let reason = "a handler decided on another input in `on_llm_request`, but this run was started without `.ask()`";
    assert_eq!(reason_of(stopped), reason);
    // To decide on what was given is to decide nothing.
    let (callbacks, _) = recorder();
    let same: Answer<ToolDecision> = |input| Ok(Decision::Rewrite(input.to_owned()));
    let callbacks = callbacks.with(Tools(Log::new(), "clerk", same));
    drop(callbacks.tool_start(&TOOL, "hi").await.unwrap());
}

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
            let (callbacks, log) = recorder();
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
        let (callbacks, _) = recorder();
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
        let (callbacks, log) = recorder();
        let callbacks = callbacks.with(slow);
        let reason = reason_of(callbacks.tool_start(&TOOL, "x").await);
        assert!(reason.contains("took longer than 5s"), "{reason}");
        assert_eq!(log.lines().len(), 2);
        let report = callbacks.flush(Duration::ZERO).await;
        assert_eq!(report.handler("slow").unwrap().timed_out, 1);
    }
    stall.release();
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
async fn a_chat_model_is_asked_about_its_messages() {
    let redact: Answer<ModelDecision> = |text| {
        let text = text
            .trim_start_matches("Human: ")
            .replace("a@b.c", "<mail>");
        Ok(Decision::Rewrite(vec![Message::human(text)]))
    };
    let (callbacks, log) = recorder();
    let callbacks = callbacks
        .with(Models(log.clone(), "redact", redact))
        .with(Models(log.clone(), "check", go_on));
    let messages = [Message::human("write to a@b.c")];
    let start = callbacks.chat_model_start(&MODEL, &messages).ask();
    let Asked::Go(run) = start.await.unwrap() else {
        panic!()
    };
    let decided = [Message::human("write to <mail>")];
    assert_eq!(run.messages(), Some(&decided[..]));
    assert_eq!(run.batch(), Some(&[decided.to_vec()][..]));
    run.end(LlmResult::from_text("done")).await.unwrap();
    assert_eq!(
        log.lines(),
        [
            "redact is asked \"Human: write to a@b.c\"",
            "check is asked \"Human: write to <mail>\"",
            "Model: chat model start [\"write to <mail>\"]",
            "Model: llm end \"done\" None",
        ]
    );
    // Where nothing was decided, the framework has what it gave.
    let callbacks = Callbacks::new().with(Models(Log::new(), "check", go_on));
    let start = callbacks.chat_model_start(&MODEL, &messages).ask();
    let Asked::Go(run) = start.await.unwrap() else {
        panic!()
    };
    assert_eq!(run.messages(), None);
}

#[tokio::test]
async fn a_text_model_is_asked_about_its_prompts() {
    let shout: Answer<ModelDecision> = |text| {
        Ok(Decision::Rewrite(vec![Message::human(
            text.replace("Human: ", "") + "!",
        )]))
    };
    let dialogue: Answer<ModelDecision> = |_| {
        Ok(Decision::Rewrite(vec![
            Message::system("be nice"),
            Message::human("hi"),
        ]))
    };
    for (answer, expected) in [(shout, "hi!"), (dialogue, "System: be nice\nHuman: hi")] {
        let (callbacks, log) = recorder();
        let callbacks = callbacks.with(Models(Log::new(), "clerk", answer));
        let prompts = ["hi".to_owned()];
        let Asked::Go(run) = callbacks.llm_start(&MODEL, &prompts).ask().await.unwrap() else {
            panic!()
        };
        assert_eq!(run.prompts(), Some(&[expected.to_owned()][..]));
        assert_eq!(log.lines(), [format!("Model: llm start [{expected:?}]")]);
    }
}

#[tokio::test]
async fn each_conversation_of_a_batch_is_asked_about() {
    let batch = [vec![Message::human("one")], vec![Message::human("two")]];
    let second: Answer<ModelDecision> = |text| {
        Ok(match text {
            "Human: two" => Decision::Rewrite(vec![Message::human("three")]),
            _ => Decision::Continue,
        })
    };
    let (callbacks, log) = recorder();
    let callbacks = callbacks.with(Models(log.clone(), "clerk", second));
    let start = callbacks.chat_model_start(&MODEL, &batch[..]).ask();
    let Asked::Go(run) = start.await.unwrap() else {
        panic!()
    };
    let decided = [vec![Message::human("one")], vec![Message::human("three")]];
    assert_eq!(run.batch(), Some(&decided[..]));
    assert_eq!(
        log.lines(),
        [
            "clerk is asked \"Human: one\"",
            "clerk is asked \"Human: two\"",
            "Model: chat model start [\"one\", \"three\"]",
        ]
    );
    // An answer for a part of it is none for all of it.
    let answers: Answer<ModelDecision> = |_| Ok(Decision::Answer(LlmResult::from_text("x")));
    let callbacks = Callbacks::new().with(Models(Log::new(), "clerk", answers));
    let reason = reason_of(callbacks.chat_model_start(&MODEL, &batch[..]).ask().await);
    assert!(reason.contains("batch"), "{reason}");
}

#[tokio::test]
async fn a_model_can_be_answered_for() {
    let answers: Answer<ModelDecision> = |_| Ok(Decision::Answer(LlmResult::from_text("Because")));
    let (callbacks, log) = recorder();
    let callbacks = callbacks.with(Models(Log::new(), "cache", answers));
    let messages = vec![Message::human("Why?")];
    match callbacks
        .chat_model_start(&MODEL, &messages)
        .ask()
        .await
        .unwrap()
    {
        Asked::Answered(result) => assert_eq!(result.text(), "Because"),
        Asked::Go(run) => panic!("{run:?}"),
    }
    assert_eq!(
        log.lines().last().unwrap(),
        "Model: llm end \"Because\" None"
    );
}

#[tokio::test]
async fn where_nobody_can_answer_nothing_is_made_or_asked() {
    let (callbacks, log) = recorder();
    let Asked::Go(run) = callbacks.tool_start(&TOOL, "x").ask().await.unwrap() else {
        panic!()
    };
    assert_eq!(run.input(), "x");
    run.end(Value::Null).await.unwrap();
    assert_eq!(log.take().len(), 2);
    let callbacks = Callbacks::new().with(Tools(log.clone(), "clerk", go_on));
    let start = callbacks.chat_model_start(&MODEL, || -> Vec<Message> { panic!("made") });
    let Asked::Go(run) = start.ask().await.unwrap() else {
        panic!()
    };
    assert_eq!(run.messages(), None);
}

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
    let records = Records::new();
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

    let (callbacks, seen) = recorder();
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
    let (callbacks, log) = recorder();
    let callbacks = callbacks.with(stalls.on::<ToolRequest<'_>>().asynchronous());
    let mut start = Box::pin(callbacks.tool_start(&TOOL, "x").into_future());
    let mut cx = Context::from_waker(Waker::noop());
    assert!(start.poll_unpin(&mut cx).is_pending());
    drop(start);
    let _ = callbacks.flush(Duration::from_secs(60)).await;
    assert_eq!(log.lines(), [""; 0]);
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

struct Clerk(Log);

#[callback_handler(events = shop::trade)]
impl Clerk {
    async fn on_refund(&self, item: &str, cents: u64, run: &Run<'_>) -> Verdict {
        self.0
            .add(format_args!("{} {item} {cents}", run.id().is_nil()));
        match cents {
            0..100 => Verdict::Yes,
            100..1000 => Verdict::Less(99),
            _ => Verdict::No("ask the boss".to_owned()),
        }
    }
}

/// The events, their reply and who asks are in a crate that this one only uses.
#[tokio::test]
async fn events_of_another_crate_are_asked() {
    let log = Log::new();
    let callbacks = Callbacks::new().with(Clerk(log.clone()));
    assert_eq!(
        refund(&callbacks, "tea", 1).await.unwrap(),
        (Verdict::Yes, 1)
    );
    assert_eq!(
        refund(&callbacks, "tea", 500).await.unwrap(),
        (Verdict::Yes, 99)
    );
    let no = Verdict::No("ask the boss".to_owned());
    assert_eq!(refund(&callbacks, "tea", 5000).await.unwrap(), (no, 5000));
    assert_eq!(log.take(), ["true tea 1", "true tea 500", "true tea 5000"]);
    // In a run, and by one that nobody hears.
    let item = "cup";
    let chain = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
    assert_eq!(
        chain.ask(Refund { item, cents: 7 }).await.unwrap(),
        Verdict::Yes
    );
    assert_eq!(log.take(), ["false cup 7"]);
    let unheard = Callbacks::new();
    let chain = unheard.chain_start(&CHAIN, Value::Null).await.unwrap();
    let verdict = chain.ask(Refund { item, cents: 5000 }).await.unwrap();
    assert_eq!(verdict, Verdict::go_on());
    let (verdict, event) = chain
        .ask_to_rewrite(Refund { item, cents: 5000 })
        .await
        .unwrap();
    assert_eq!((verdict, event.cents), (Verdict::Yes, 5000));
}

/// Two who rewrite, and one who fails closed.
#[tokio::test]
async fn rewrites_of_any_reply_compose() {
    let log = Log::new();
    let (one, two) = (Clerk(log.clone()), Clerk(log.clone()));
    let callbacks = Callbacks::new().with(one).with(two);
    assert_eq!(
        refund(&callbacks, "tea", 500).await.unwrap(),
        (Verdict::Yes, 99)
    );
    assert_eq!(log.take(), ["true tea 500", "true tea 99"]);
    let fails = Faulty::panic("a bug").of::<shop::trade::Events>();
    let callbacks = callbacks.with(fails.on::<Refund<'_>>());
    let (verdict, cents) = refund(&callbacks, "tea", 500).await.unwrap();
    assert!(matches!(verdict, Verdict::No(_)), "{verdict:?}");
    assert_eq!(cents, 99);
}

/// Those who only look at everything are not asked.
#[tokio::test]
async fn an_observer_of_everything_is_no_decider() {
    let faulty = Faulty::error("looks at everything");
    let callbacks = Callbacks::new().with(faulty).with(Recorder::default());
    let callbacks = callbacks.with(Records::new());
    let (callbacks, _records) = callbacks.record(Queue::bounded(8));
    assert!(!callbacks.wants::<ToolRequest<'_>>());
    assert!(!callbacks.wants::<LlmRequest<'_>>());
    drop(callbacks.tool_start(&TOOL, "x").await.unwrap());
}

#[test]
fn decisions_are_replies() {
    type Tool = owned::ToolRequest;
    let go_on = <ToolDecision as Reply<Tool>>::go_on();
    assert_eq!(go_on, Decision::default());
    let stop = <ToolDecision as Reply<Tool>>::stop("no");
    assert_eq!(stop, Decision::Stop("no".to_owned()));
    assert_eq!(ErrorKind::Stopped.as_str(), "stopped");
    assert!(RunId::NIL.is_nil());
}
