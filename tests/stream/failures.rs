//! Emissions that fail: handlers whose errors are raised, and runs that are closed around the stream.

use std::io;

use callbacks::events::{LlmEnd, LlmError, LlmNewToken};
use callbacks::testing::{Faulty, assert_events};
use callbacks::{BoxError, Callbacks, EmitError, ErrorKind, Event, Interests, handler, on};
use callbacks_tests::{CHAIN, start};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use serde_json::Value;

use super::{MODES, broken, chunk, closed, on_both, recorded, text, words};

fn raising(faulty: Faulty) -> Callbacks {
    Callbacks::new().with(handler(faulty.asynchronous()).raise_errors())
}

fn is_raised(failure: Option<&EmitError>, method: &str) -> bool {
    matches!(failure, Some(EmitError::Raised { event, .. }) if *event == method)
}

#[tokio::test]
async fn a_token_that_is_refused_stops_the_stream() {
    for mode in MODES {
        let (callbacks, recorder) = recorded(mode);
        let refusing = raising(Faulty::error("too much").on::<LlmNewToken<'_>>());
        let run = start(&callbacks.merge(&refusing)).await;
        let mut inner = words(["Be", "cause"]);
        let mut items = run.stream(&mut inner, chunk);
        assert!(items.next().await.is_none());
        assert!(is_raised(items.failure(), "on_llm_new_token"));
        assert!(items.next().await.is_none());
        drop(items);
        // no more was taken than that
        assert_eq!(inner.try_collect::<Vec<_>>().await.unwrap(), ["cause"]);
        let events = closed(&recorder).await;
        assert_events!(
            events,
            [
                LlmStart,
                LlmNewToken { token: "Be" },
                LlmError { error, response }
                    if error.sources == ["too much"] && error.kind == ErrorKind::Failed
                        && text(response) == Some("Be"),
            ],
            "{mode}"
        );
    }
}

#[tokio::test]
async fn a_refusal_can_be_the_last_item() {
    let callbacks = raising(Faulty::error("too much").on::<LlmNewToken<'_>>());
    let run = start(&callbacks).await;
    let inner = stream::iter(["Be", "cause"].map(Ok::<_, BoxError>));
    let mut items = run.stream(inner, chunk).raise();
    let error = items.next().await.unwrap().unwrap_err();
    assert!(is_raised(error.downcast_ref(), "on_llm_new_token"));
    assert!(items.failure().is_none(), "it was given out");
    assert!(items.next().await.is_none());
}

#[tokio::test]
async fn what_is_refused_last_does_not_hide_what_was_first() {
    let (callbacks, recorder) = recorded("lane");
    let faulty = Faulty::error("no");
    let faulty = faulty.on::<LlmNewToken<'_>>().on::<LlmError<'_>>();
    let run = start(&callbacks.merge(&raising(faulty))).await;
    let mut items = run.stream(words(["Be"]), chunk);
    assert!(items.next().await.is_none());
    assert!(is_raised(items.failure(), "on_llm_new_token"));
    assert_events!(recorder, [LlmStart, LlmNewToken, LlmError]);
}

#[tokio::test]
async fn an_end_that_is_refused_comes_after_the_last_item() {
    let callbacks = raising(Faulty::error("no").on::<LlmEnd<'_>>());
    let run = start(&callbacks).await;
    let mut items = run.stream(words(["Be"]), chunk);
    assert_eq!(items.next().await.unwrap().unwrap(), "Be");
    assert!(items.failure().is_none());
    assert!(items.next().await.is_none());
    assert!(is_raised(items.failure(), "on_llm_end"));

    let run = start(&callbacks).await;
    let inner = stream::iter(["Be"].map(Ok::<_, BoxError>));
    let items: Vec<_> = run.stream(inner, chunk).raise().collect().await;
    assert!(matches!(&items[..], [Ok("Be"), Err(_)]), "{items:?}");
}

#[tokio::test]
async fn an_error_that_is_refused_comes_after_the_last_item() {
    let callbacks = raising(Faulty::error("no").on::<LlmError<'_>>());
    let run = start(&callbacks).await;
    let inner = broken().map(|item| item.map_err(BoxError::from));
    let mut items = run.stream(stream::iter(inner), chunk).raise();
    let mut all = Vec::new();
    while let Some(item) = items.next().await {
        all.push(item.map_err(|error| error.is::<EmitError>()));
    }
    let expected = [Ok("Be"), Ok("cau"), Err(false), Ok("se"), Err(true)];
    assert_eq!(all, expected);
}

#[test]
fn a_run_that_is_closed_around_it_stops_the_events_and_not_the_items() {
    on_both(|| async {
        for mode in MODES {
            let (callbacks, recorder) = recorded(mode);
            let chain = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
            let run = start(chain.callbacks()).await;
            let mut items = run.stream(words(["Be", "cause"]), chunk);
            assert!(items.next().await.is_some());
            chain.end(Value::Null).await.unwrap();
            assert!(items.next().await.is_some(), "{mode}");
            assert!(matches!(items.failure(), Some(EmitError::RunClosed)));
            assert!(items.next().await.is_none());
            drop(items);
            let events = closed(&recorder).await;
            assert_events!(
                events,
                [
                    ChainStart,
                    LlmStart,
                    LlmNewToken,
                    LlmError { error } if error.kind == ErrorKind::Abandoned,
                    ChainEnd,
                ],
                "{mode}"
            );
        }
    });
}

/// Whoever prints the tokens must not take them away: the guard of the chain goes where the function
/// returns.
#[tokio::test]
async fn whether_tokens_are_heard_changes_nothing_for_the_reader() {
    async fn answer(callbacks: &Callbacks) -> impl Stream<Item = Result<&'static str, BoxError>> {
        let chain = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
        let run = start(chain.callbacks()).await;
        let words = stream::iter([Ok("Be"), Ok::<_, BoxError>("cause")]);
        run.stream(words, chunk)
    }

    for callbacks in [
        Callbacks::new(),
        Callbacks::new().with(on(|_: &LlmNewToken<'_>| ())),
        Callbacks::new().with(on(|_: &LlmEnd<'_>| ())),
    ] {
        let read: Vec<_> = answer(&callbacks).await.try_collect().await.unwrap();
        assert_eq!(read, ["Be", "cause"]);
    }
}

#[tokio::test]
async fn where_no_token_is_heard_it_is_closed_at_the_end() {
    let recorder = callbacks::testing::Recorder::new();
    let only = Interests::of(&[LlmEnd::INDEX, LlmError::INDEX]);
    let callbacks = Callbacks::new().with(handler(recorder.clone()).only(only));
    for (inner, count) in [(vec![Ok("Be")], 1), (Vec::from(broken()), 4)] {
        let chain = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
        let run = start(chain.callbacks()).await;
        let mut items = run.stream(stream::iter(inner), chunk);
        chain.end(Value::Null).await.unwrap();
        assert_eq!(items.by_ref().count().await, count);
        assert!(matches!(items.failure(), Some(EmitError::RunClosed)));
        assert_events!(recorder.take(), [LlmError]);
    }
}

/// An error that cannot even be shown.
#[derive(Debug)]
struct Unshown;

impl std::fmt::Display for Unshown {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("it cannot be shown")
    }
}

impl std::error::Error for Unshown {}

#[tokio::test]
async fn an_error_that_cannot_be_shown_is_raised_all_the_same() {
    let (callbacks, recorder) = recorded("lane");
    let faulty = Faulty::calling(|_| Err(Unshown)).on::<LlmNewToken<'_>>();
    let run = start(&callbacks.merge(&raising(faulty))).await;
    let mut items = run.stream(words(["Be"]), chunk);
    assert!(items.next().await.is_none());
    assert!(is_raised(items.failure(), "on_llm_new_token"));
    assert_events!(recorder, [LlmStart, LlmNewToken, LlmError]);
}

#[tokio::test]
async fn an_error_that_is_not_raised_stops_nothing() {
    let faulty = Faulty::error("no");
    let run = start(&Callbacks::new().with(faulty.clone())).await;
    let inner = stream::iter(["Be", "cause"].map(Ok::<_, io::Error>));
    let mut items = run.stream(inner, chunk);
    assert_eq!(items.by_ref().count().await, 2);
    assert!(items.failure().is_none());
    assert_eq!(faulty.calls(), 4);
}
