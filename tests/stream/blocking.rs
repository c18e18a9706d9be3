//! The same for an iterator, which waits with its thread.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use callbacks::events::{LlmEnd, LlmError, LlmNewToken};
use callbacks::testing::{Faulty, Recorded, Recorder, assert_events};
use callbacks::{
    Blocking, BoxError, Callbacks, Chunk, EmitError, ErrorKind, Event, Interests, Llm, RunGuard,
    handler,
};
use callbacks_tests::{CHAIN, MODEL, prompts};
use serde_json::Value;
use tokio::runtime::{Builder, Handle, RuntimeFlavor};
use tokio::task::block_in_place;

use super::{Item, MODES, broken, chunk, closed, recorded, text};

fn start(callbacks: &Callbacks) -> RunGuard<Llm, Blocking> {
    let callbacks = callbacks.blocking();
    callbacks.llm_start(&MODEL, prompts).start().unwrap()
}

/// Runs a test outside of any runtime, on the thread of a current-thread one, and on a worker.
fn everywhere(test: impl Fn() + Clone + Send + 'static) {
    test();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { test() });
    let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
    let spawned = async { tokio::spawn(async move { test() }).await };
    runtime.block_on(spawned).unwrap();
}

/// What was recorded when all runs were closed.
fn closed_now(recorder: &Recorder) -> Vec<Recorded> {
    let recorder = recorder.clone();
    let wait = move || {
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(closed(&recorder))
    };
    let waiting = thread::spawn(wait);
    let multi = |here: Handle| here.runtime_flavor() == RuntimeFlavor::MultiThread;
    if Handle::try_current().is_ok_and(multi) {
        // what this worker has to do, others do
        block_in_place(|| waiting.join()).unwrap()
    } else {
        waiting.join().unwrap()
    }
}

#[test]
fn the_same_items_come_out_and_each_is_told() {
    everywhere(|| {
        for mode in MODES {
            let (callbacks, recorder) = recorded(mode);
            let words = ["Be", "ping", "cause"].map(Item::Ok);
            let mut items = start(&callbacks)
                .stream(words, |word| (*word != "ping").then(|| Chunk::text(*word)));
            let all = items.by_ref().collect::<Result<Vec<_>, _>>();
            assert_eq!(all.unwrap(), ["Be", "ping", "cause"]);
            assert!(items.next().is_none());
            assert_events!(
                closed_now(&recorder),
                [
                    LlmStart,
                    LlmNewToken { token: "Be" },
                    LlmNewToken { token: "cause" },
                    LlmEnd { response }
                        if response.text() == "Because"
                            && response.llm_output.time_to_first_token.is_some(),
                ],
                "{mode}"
            );
        }
    });
}

#[test]
fn an_item_that_is_an_error_ends_the_run() {
    everywhere(|| {
        for mode in MODES {
            let (callbacks, recorder) = recorded(mode);
            let items = start(&callbacks).stream(broken(), chunk);
            let items: Vec<_> = items.map(Result::ok).collect();
            assert_eq!(items, [Some("Be"), Some("cau"), None, Some("se")]);
            assert_events!(
                closed_now(&recorder),
                [
                    LlmStart,
                    LlmNewToken,
                    LlmNewToken,
                    LlmError { error, response }
                        if error.message == "line cut" && text(response) == Some("Becau"),
                ],
                "{mode}"
            );
        }
    });
}

#[test]
fn dropped_it_closes_with_what_had_arrived() {
    everywhere(|| {
        for mode in MODES {
            let (callbacks, recorder) = recorded(mode);
            let mut items = start(&callbacks).stream(["Be", "cause"].map(Item::Ok), chunk);
            assert!(items.next().is_some());
            drop(items);
            assert_events!(
                closed_now(&recorder),
                [
                    LlmStart,
                    LlmNewToken,
                    LlmError { error, response }
                        if error.kind == ErrorKind::Dropped && text(response) == Some("Be"),
                ],
                "{mode}"
            );
        }
    });
}

#[test]
fn never_read_it_closes_with_nothing() {
    let (callbacks, recorder) = recorded("lane");
    drop(start(&callbacks).stream(["Be"].map(Item::Ok), chunk));
    assert_events!(
        closed_now(&recorder),
        [
            LlmStart,
            LlmError { error, response: None } if error.kind == ErrorKind::Dropped,
        ]
    );
}

#[test]
fn a_panic_on_the_way_closes_it() {
    let words = || ["Be", "cause"].map(Item::Ok);
    let (callbacks, recorder) = recorded("lane");
    let in_closure = start(&callbacks).stream(words(), |word| match *word {
        "Be" => chunk(word),
        _ => panic!("the closure panics"),
    });
    assert!(catch_unwind(AssertUnwindSafe(|| in_closure.count())).is_err());
    let inner = words().into_iter().map(|word| match word {
        Ok("Be") => word,
        _ => panic!("the iterator inside panics"),
    });
    let inside = start(&callbacks).stream(inner, chunk);
    assert!(catch_unwind(AssertUnwindSafe(|| inside.count())).is_err());
    let closed = closed_now(&recorder);
    let errors = closed.iter().filter(|recorded| {
        LlmError::of(&recorded.event()).is_some_and(|event| {
            event.error.kind == ErrorKind::Panicked && text(event.response) == Some("Be")
        })
    });
    assert_eq!(errors.count(), 2, "{closed:?}");
}

#[test]
fn what_nobody_listens_to_is_not_made() {
    let unread = |_: &&str| -> Chunk { panic!("nobody listens") };
    let items = start(&Callbacks::new()).stream(broken(), unread);
    assert_eq!(items.count(), 4);

    let recorder = Recorder::new();
    let only = handler(recorder.clone()).only(Interests::of(&[LlmEnd::INDEX]));
    let callbacks = Callbacks::new().with(only);
    let items = start(&callbacks).stream(["Be", "cause"].map(Item::Ok), chunk);
    let items = items.amend(|result| result.llm_output.model_name = Some("small".to_owned()));
    assert_eq!(items.count(), 2);
    assert_events!(
        recorder,
        [
            LlmEnd { response }
            if response.text() == "Because"
                && response.llm_output.model_name.as_deref() == Some("small"),
        ]
    );
}

#[test]
fn a_refusal_stops_it() {
    everywhere(|| {
        let faulty = Faulty::error("too much").on::<LlmNewToken<'_>>();
        let callbacks = Callbacks::new().with(handler(faulty).raise_errors());
        let mut items = start(&callbacks).stream(["Be"].map(Item::Ok), chunk);
        assert!(items.next().is_none());
        assert!(matches!(items.failure(), Some(EmitError::Raised { .. })));

        let words = ["Be", "cause"].map(Ok::<_, BoxError>);
        let items = start(&callbacks).stream(words, chunk).raise();
        let items: Vec<_> = items.collect();
        assert!(matches!(&items[..], [Err(_)]), "{items:?}");
    });
}

#[test]
fn an_error_that_is_refused_comes_after_the_last_item() {
    let faulty = Faulty::error("no").on::<LlmError<'_>>();
    let callbacks = Callbacks::new().with(handler(faulty).raise_errors());
    let words = broken().map(|item| item.map_err(BoxError::from));
    let items = start(&callbacks).stream(words, chunk).raise();
    let is_failure = |error: BoxError| error.is::<EmitError>();
    let items: Vec<_> = items.map(|item| item.map_err(is_failure)).collect();
    let expected = [Ok("Be"), Ok("cau"), Err(false), Ok("se"), Err(true)];
    assert_eq!(items, expected);
}

#[test]
fn a_run_that_is_closed_around_it_stops_the_events_and_not_the_items() {
    let (callbacks, recorder) = recorded("lane");
    let callbacks = callbacks.blocking();
    let chain = callbacks.chain_start(&CHAIN, Value::Null).start().unwrap();
    let run = chain.callbacks().llm_start(&MODEL, prompts);
    let run = run.start().unwrap();
    let mut items = run.stream(["Be", "cause"].map(Ok::<_, io::Error>), chunk);
    assert!(items.next().is_some());
    chain.end(Value::Null).unwrap();
    assert!(items.next().is_some());
    assert!(matches!(items.failure(), Some(EmitError::RunClosed)));
    assert!(items.next().is_none());
    drop(items);
    assert_events!(
        closed_now(&recorder),
        [ChainStart, LlmStart, LlmNewToken, LlmError, ChainEnd]
    );
}
