//! Closures as handlers: what holds for the methods of a handler holds for them.

use std::future::ready;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use callbacks::events::{
    ChatModelStart, LlmEnd, LlmNewToken, LlmStart, Text, ToolEnd, ToolRequest,
};
use callbacks::{
    Asked, Callbacks, Decision, EmitError, Handler, Interests, LlmResult, Message, On, Queue, Run,
    handler, on, on_async,
};
use callbacks_tests::{LONG, Log, MODEL, TOOL, prompts, raised, start};
use serde_json::{Value, json};
use shop::Verdict;
use shop::trade::{self, HTTPFailed, Printed, Refund, Sold, Tick};
use tokio::sync::Semaphore;
use tokio::task::yield_now;
use tokio::time::Instant;

// What a closure is called with, for what, and where.

#[tokio::test]
async fn closures_are_called_with_the_event_and_with_the_run_if_they_take_it() {
    fn function(log: &Log) -> On<LlmEnd<'static>> {
        let log = log.clone();
        on(move |event: &LlmEnd<'_>| log.add(format_args!("end {}", event.response.text())))
    }

    let log = Log::new();
    let (plain, with_run, awaited, awaited_with_run) =
        (log.clone(), log.clone(), log.clone(), log.clone());
    let callbacks = Callbacks::new()
        .with(on(move |event: &LlmNewToken<'_>| plain.add(event.token)))
        .with(on(move |event: &LlmStart<'_>, run: &Run<'_>| {
            with_run.add(format_args!("{} {:?}", run.name(), event.prompts));
        }))
        .with(on_async(move |event: &Text<'_>| {
            let (log, text) = (awaited.clone(), event.text.to_owned());
            async move { log.add(text) }
        }))
        .with(on_async(move |event: &Text<'_>, run: &Run<'_>| {
            let line = format!("{} {}", run.name(), event.text);
            let log = awaited_with_run.clone();
            async move {
                yield_now().await;
                log.add(line);
            }
        }))
        .with(function(&log));
    let run = start(&callbacks).await;
    run.new_token("token").await.unwrap();
    run.text("text").await.unwrap();
    run.end(&LlmResult::from_text("done")).await.unwrap();
    let expected = [
        r#"Model ["Why?"]"#,
        "token",
        "text",
        "Model text",
        "end done",
    ];
    assert_eq!(log.lines(), expected);
}

/// Functions are handlers, too.
#[tokio::test]
async fn functions_are_called() {
    static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());

    fn on_token(event: &LlmNewToken<'_>) {
        LOG.lock().unwrap().push(event.token.to_owned());
    }

    fn on_end(_: &LlmEnd<'_>, run: &Run<'_>) -> impl Future<Output = ()> + Send + use<> {
        let name = run.name().to_owned();
        async move { LOG.lock().unwrap().push(name) }
    }

    let run = start(&Callbacks::new().with(on(on_token)).with(on_async(on_end))).await;
    run.new_token("token").await.unwrap();
    run.end(&LlmResult::default()).await.unwrap();
    assert_eq!(*LOG.lock().unwrap(), ["token", "Model"]);
}

#[tokio::test]
async fn closures_handle_the_events_of_a_set_in_another_crate() {
    let log = Log::new();
    let (sold, ticked) = (log.clone(), log.clone());
    let callbacks = Callbacks::new()
        .with(on(move |event: &Sold<'_>| {
            sold.add(format_args!("{} {}", event.count, event.item));
        }))
        .with(on_async(move |event: &Tick, run: &Run<'_>| {
            let (log, line) = (ticked.clone(), format!("{event:?} {:?}", run.tags()));
            async move { log.add(line) }
        }));
    shop::sell_tea(&callbacks.tag("prod")).await.unwrap();
    assert_eq!(log.lines(), ["2 tea", r#"Tick ["prod"]"#]);
}

#[test]
fn closures_are_interested_in_their_event_alone() {
    /// Of the events of two sets, those that are wanted.
    fn wanted(callbacks: &Callbacks) -> Vec<&'static str> {
        let of_models = [
            ("LlmEnd", callbacks.wants::<LlmEnd<'_>>()),
            ("LlmNewToken", callbacks.wants::<LlmNewToken<'_>>()),
            ("ToolEnd", callbacks.wants::<ToolEnd<'_>>()),
            ("ToolRequest", callbacks.wants::<ToolRequest<'_>>()),
        ];
        let of_a_shop = [
            ("Sold", callbacks.wants::<Sold<'_>>()),
            ("Printed", callbacks.wants::<Printed<'_>>()),
            ("HTTPFailed", callbacks.wants::<HTTPFailed>()),
            ("Tick", callbacks.wants::<Tick>()),
        ];
        let all = of_models.into_iter().chain(of_a_shop);
        all.filter_map(|(event, wanted)| wanted.then_some(event))
            .collect()
    }

    let none = Callbacks::new();
    assert_eq!(
        wanted(&none.with(on(|_: &LlmNewToken<'_>| ()))),
        ["LlmNewToken"]
    );
    assert_eq!(
        wanted(&none.with(on_async(|_: &LlmEnd<'_>| async {}))),
        ["LlmEnd"]
    );
    let asked = on(|_: &ToolRequest<'_>| Decision::Continue);
    assert_eq!(wanted(&none.with(asked)), ["ToolRequest"]);
    assert_eq!(wanted(&none.with(on(|_: &Tick| ()))), ["Tick"]);
    let asynchronous = on_async(|_: &Sold<'_>, _: &Run<'_>| async {});
    assert_eq!(wanted(&none.with(asynchronous)), ["Sold"]);

    let token = || handler(on(|_: &LlmNewToken<'_>| ()));
    assert!(wanted(&none.with(token().except(Interests::LLM))).is_empty());
    assert!(wanted(&none.with(token().only(Interests::TOOL))).is_empty());
    assert_eq!(
        wanted(&none.with(token().only(Interests::LLM))),
        ["LlmNewToken"]
    );
}

/// Like a method for the start of a text model alone.
#[tokio::test]
async fn the_fallback_of_chat_models_is_there_for_closures() {
    let log = Log::new();
    let prompts = log.clone();
    let callbacks = Callbacks::new().with(on(move |event: &LlmStart<'_>| {
        prompts.add(event.prompts.join(" "));
    }));
    assert!(callbacks.wants::<ChatModelStart<'_>>());
    let run = callbacks.chat_model_start(&MODEL, vec![Message::human("hi")]);
    drop(run.await.unwrap());
    assert_eq!(log.lines(), ["Human: hi"]);
}

#[tokio::test]
async fn plain_closures_run_away_from_the_event_loop_and_futures_on_the_emitters_task() {
    let (calls, called) = mpsc::channel();
    let (plain, inline, asynchronous) = (calls.clone(), calls.clone(), calls);
    let here = || (thread::current().id(), tokio::task::try_id());
    let inline = on(move |_: &LlmNewToken<'_>| inline.send(("inline", here())));
    let callbacks = Callbacks::new()
        .with(on(move |_: &LlmNewToken<'_>| plain.send(("lane", here()))))
        .with(handler(inline).inline())
        .with(on_async(move |_: &LlmNewToken<'_>| {
            let calls = asynchronous.clone();
            async move {
                yield_now().await;
                calls.send(("async", here()))
            }
        }));
    let emitter = tokio::spawn(async move {
        let run = start(&callbacks).await;
        run.new_token("token").await.unwrap();
        here()
    });
    let emitter = emitter.await.unwrap();
    // All were done when the emission returned.
    let mut called = called.try_iter().collect::<Vec<_>>();
    called.sort_by_key(|(kind, _)| *kind);
    let [
        ("async", future),
        ("inline", inline),
        ("lane", (lane, None)),
    ] = called[..]
    else {
        panic!("{called:?}");
    };
    assert_eq!((future, inline), (emitter, emitter));
    assert_ne!(lane, emitter.0);
}

#[test]
fn closures_are_called_where_a_thread_waits() {
    let log = Log::new();
    let (plain, asynchronous) = (log.clone(), log.clone());
    let here = thread::current().id();
    let callbacks = Callbacks::new()
        .with(on(move |event: &LlmNewToken<'_>| {
            assert_eq!(thread::current().id(), here);
            plain.add(event.token);
        }))
        .with(on_async(move |event: &LlmEnd<'_>| {
            let (log, text) = (asynchronous.clone(), event.response.text().to_owned());
            async move {
                yield_now().await;
                log.add(text);
            }
        }));
    let callbacks = callbacks.blocking();
    let run = callbacks.llm_start(&MODEL, prompts).start().unwrap();
    run.new_token("token").unwrap();
    run.end(LlmResult::from_text("done")).unwrap();
    assert_eq!(log.lines(), ["token", "done"]);
}

/// Clones are one handler. Two closures are two, called in the order of their registration.
#[tokio::test]
async fn a_handler_is_called_once_however_often_it_is_registered() {
    let log = Log::new();
    let adds = |name: &'static str| {
        let log = log.clone();
        on(move |event: &LlmNewToken<'_>| log.add(format_args!("{name} {}", event.token)))
    };
    let (first, second) = (adds("first"), adds("second"));
    let callbacks = Callbacks::new()
        .with(handler(first.clone()).inline())
        .with(handler(second).inline())
        .with(first.clone());
    let run = start(&callbacks.merge(&Callbacks::new().with(first))).await;
    run.new_token("token").await.unwrap();
    assert_eq!(log.lines(), ["first token", "second token"]);
}

// Options and outcomes.

#[tokio::test]
async fn failures_are_raised_if_that_was_asked_for_and_stop_nobody() {
    let errs = |event: &LlmNewToken<'_>| Err::<(), _>(format!("no {}", event.token));
    let panics = |event: &LlmNewToken<'_>| assert!(event.token.is_empty(), "no {}", event.token);
    let errs_later = |event: &LlmNewToken<'_>| {
        let error = format!("no {}", event.token);
        async move {
            yield_now().await;
            Err::<(), _>(error)
        }
    };
    let panics_later = |event: &LlmNewToken<'_>| {
        let token = event.token.to_owned();
        async move {
            yield_now().await;
            assert!(token.is_empty(), "no {token}");
        }
    };
    // before there is a future
    let panics_first = |event: &LlmNewToken<'_>| {
        assert!(event.token.is_empty(), "no {}", event.token);
        async {}
    };
    let (error, panic) = ("no token", "the handler panicked: no token");
    let all = [
        (on(errs), error),
        (on(panics), panic),
        (on_async(errs_later), error),
        (on_async(panics_later), panic),
        (on_async(panics_first), panic),
    ];

    for (failing, text) in all {
        let log = Log::new();
        let other = log.clone();
        let other = on(move |event: &LlmNewToken<'_>| other.add(event.token));
        let quiet = Callbacks::new().with(failing.clone()).with(other.clone());
        start(&quiet).await.new_token("token").await.unwrap();
        assert_eq!(log.take(), ["token"], "{failing:?}");

        let loud = handler(failing).raise_errors().named("loud");
        let loud = Callbacks::new().with(loud).with(other);
        let raised = raised(start(&loud).await.new_token("token").await);
        let expected = ("loud".to_owned(), "on_llm_new_token", text.to_owned());
        assert_eq!(raised, expected);
        assert_eq!(log.take(), ["token"]);
    }
}

/// Unless it is named, a handler has the name of where its closure stands.
#[tokio::test]
async fn handlers_are_named() {
    fn failing() -> On<LlmNewToken<'static>> {
        on(|_: &LlmNewToken<'_>| Err::<(), _>("no"))
    }

    let unnamed = Callbacks::new().with(handler(failing()).raise_errors());
    let (name, ..) = raised(start(&unnamed).await.new_token("token").await);
    let place = "closures::handlers_are_named::";
    assert!(name.starts_with(place), "{name}");
    assert!(name.ends_with("failing::{{closure}}"), "{name}");
    assert_eq!(
        format!("{:?}", failing()),
        format!(r#"On("LlmNewToken", "{name}")"#)
    );
}

#[tokio::test(start_paused = true)]
async fn a_timeout_bounds_a_future() {
    let stalls = on_async(|_: &LlmNewToken<'_>| std::future::pending::<()>());
    let stalls = handler(stalls).timeout(LONG).raise_errors();
    let run = start(&Callbacks::new().with(stalls)).await;
    let before = Instant::now();
    let (_, _, error) = raised(run.new_token("token").await);
    assert_eq!(error, "the handler took longer than 60s");
    assert_eq!(before.elapsed(), LONG);
}

/// A closure that begins only when it is let, and what lets it.
fn gated(log: &Log) -> (On<LlmNewToken<'static>>, mpsc::Sender<()>) {
    let (open, gate) = mpsc::channel();
    let (gate, log) = (Mutex::new(gate), log.clone());
    let gated = on(move |event: &LlmNewToken<'_>| {
        gate.lock().unwrap().recv().unwrap();
        log.add(event.token);
    });
    (gated, open)
}

#[tokio::test]
async fn a_timeout_bounds_the_wait_for_a_lane() {
    let log = Log::new();
    let (stuck, open) = gated(&log);
    let stuck = handler(stuck).timeout(Duration::from_millis(1));
    let callbacks = Callbacks::new().with(stuck.raise_errors());
    let run = start(&callbacks).await;
    let (_, _, error) = raised(run.new_token("token").await);
    assert_eq!(error, "the handler took longer than 1ms");
    assert!(log.lines().is_empty());
    open.send(()).unwrap();
    assert!(callbacks.flush(LONG).await.is_complete());
    assert_eq!(log.lines(), ["token"]);
}

#[tokio::test]
async fn nobody_waits_for_closures_in_the_background() {
    let (plain, asynchronous) = (Log::new(), Log::new());
    let (gated, open) = gated(&plain);
    let go = Arc::new(Semaphore::new(0));
    let (waits, log) = (go.clone(), asynchronous.clone());
    let suspended = on_async(move |event: &LlmNewToken<'_>| {
        let (go, log, token) = (waits.clone(), log.clone(), event.token.to_owned());
        async move {
            go.acquire().await?.forget();
            log.add(token);
            Ok::<_, tokio::sync::AcquireError>(())
        }
    });
    let callbacks = Callbacks::new()
        .with(handler(gated).background(Queue::bounded(8)))
        .with(handler(suspended).background(Queue::bounded(8)));
    let run = start(&callbacks).await;
    run.new_token("one").await.unwrap();
    run.new_token("two").await.unwrap();
    assert!(plain.lines().is_empty() && asynchronous.lines().is_empty());
    go.add_permits(2);
    open.send(()).unwrap();
    open.send(()).unwrap();
    assert!(callbacks.flush(LONG).await.is_complete());
    for log in [plain, asynchronous] {
        assert_eq!(log.lines(), ["one", "two"]);
    }
}

// Decisions.

/// What a single handler says to giving back 100 cents for tea.
async fn verdict(clerk: impl Handler<trade::Events>) -> Verdict {
    let callbacks = Callbacks::new().with(handler(clerk).named("clerk"));
    shop::refund(&callbacks, "tea", 100).await.unwrap().0
}

#[tokio::test]
async fn closures_answer_decision_events() {
    let no = |event: &Refund<'_>| Verdict::No(format!("the {} is gone", event.item));
    let gone = || Verdict::No("the tea is gone".to_owned());
    assert_eq!(verdict(on(no)).await, gone());
    assert_eq!(verdict(handler(on(no)).inline()).await, gone());
    let result = on(move |event: &Refund<'_>, _: &Run<'_>| Ok::<_, String>(no(event)));
    assert_eq!(verdict(result).await, gone());
    let later = on_async(move |event: &Refund<'_>| {
        let no = no(event);
        async move {
            yield_now().await;
            no
        }
    });
    assert_eq!(verdict(later).await, gone());
    let result = on_async(move |event: &Refund<'_>| ready(Ok::<_, String>(no(event))));
    assert_eq!(verdict(result).await, gone());
}

/// One after another: each is asked about what it is then, even where it is registered with what means
/// nothing when it is asked.
#[tokio::test]
async fn closures_are_asked_in_the_order_of_their_registration() {
    let half = |event: &Refund<'_>| Verdict::Less(event.cents / 2);
    let callbacks = Callbacks::new()
        .with(handler(on(half)).background(Queue::bounded(1)))
        .with(on_async(move |event: &Refund<'_>| ready(half(event))))
        .with(handler(on(|_: &Refund<'_>| Verdict::Yes)).only(Interests::NONE))
        .with(handler(on(half)).only(Interests::NONE));
    let refund = shop::refund(&callbacks, "tea", 100).await.unwrap();
    assert_eq!(refund, (Verdict::Yes, 12));
    let no = |event: &Refund<'_>| Verdict::No(format!("no {} cents", event.cents));
    let callbacks = callbacks.with(on(no)).with(on(half));
    let refund = shop::refund(&callbacks, "tea", 100).await.unwrap();
    assert_eq!(refund, (Verdict::No("no 12 cents".to_owned()), 12));
}

#[tokio::test(start_paused = true)]
async fn a_decision_that_fails_is_a_stop() {
    let stop = |reason: &str| {
        let stop = "the callback handler `clerk` failed in `on_refund`";
        Verdict::No(format!("{stop}: {reason}"))
    };
    let errs = |_: &Refund<'_>| Err::<Verdict, _>("no change");
    assert_eq!(verdict(on(errs)).await, stop("no change"));
    let later = on_async(move |event: &Refund<'_>| ready(errs(event)));
    assert_eq!(verdict(later).await, stop("no change"));

    let panics = |event: &Refund<'_>| -> Verdict { panic!("no {}", event.item) };
    let panicked = stop("the handler panicked: no tea");
    assert_eq!(verdict(on(panics)).await, panicked);
    assert_eq!(verdict(handler(on(panics)).inline()).await, panicked);
    let first = on_async(move |event: &Refund<'_>| ready(panics(event)));
    assert_eq!(verdict(first).await, panicked);
    let later = on_async(|event: &Refund<'_>| {
        let item = event.item.to_owned();
        async move {
            yield_now().await;
            assert!(item.is_empty(), "no {item}");
            Verdict::Yes
        }
    });
    assert_eq!(verdict(later).await, panicked);

    let stalls = on_async(|_: &Refund<'_>| std::future::pending::<Verdict>());
    let late = stop("the handler took longer than 60s");
    assert_eq!(verdict(handler(stalls).timeout(LONG)).await, late);
}

#[tokio::test]
async fn closures_decide_about_tools() {
    let callbacks = Callbacks::new()
        .with(on(|event: &ToolRequest<'_>| match event.input {
            "rm -rf /" => Decision::Stop("not on my machine".to_owned()),
            other => Decision::Rewrite(other.trim().to_owned()),
        }))
        .with(on_async(|event: &ToolRequest<'_>| {
            let known = event.input == "2 + 2";
            async move {
                yield_now().await;
                if known {
                    return Decision::Answer(json!(4));
                }
                Decision::Continue
            }
        }));
    let stopped = callbacks.tool_start(&TOOL, "rm -rf /").await;
    let Err(EmitError::Stopped { reason }) = stopped else {
        panic!("{stopped:?}");
    };
    assert_eq!(reason, "not on my machine");
    let answered = callbacks.tool_start(&TOOL, " 2 + 2").ask().await.unwrap();
    let Asked::Answered(answer) = answered else {
        panic!("{answered:?}");
    };
    assert_eq!(answer, json!(4));
    let started = callbacks.tool_start(&TOOL, " 1 + 1").ask().await.unwrap();
    let Asked::Go(run) = started else {
        panic!("{started:?}");
    };
    assert_eq!(run.input(), "1 + 1");
    run.end(Value::Null).await.unwrap();
}
