//! Streams that are not read to their end: exactly one terminal event, with what had arrived.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use callbacks::events::{LlmEnd, LlmError, LlmNewToken};
use callbacks::testing::{Faulty, Recorded, Recorder, assert_events};
use callbacks::{Callbacks, ErrorKind, Event, LlmResult, LlmRun, Queue, callback_handler, handler};
use callbacks_tests::{CHAIN, LONG, Log, start};
use futures_util::{FutureExt, Stream, StreamExt, poll, stream};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::yield_now;

use super::{Item, MODES, broken, chunk, closed, on_both, recorded, text, words};

#[test]
fn dropped_it_closes_with_what_had_arrived() {
    on_both(|| async {
        for mode in MODES {
            let (callbacks, recorder) = recorded(mode);
            let mut items = start(&callbacks)
                .await
                .stream(words(["Be", "cause"]), chunk);
            assert!(items.next().await.is_some());
            drop(items);
            let events = closed(&recorder).await;
            assert_events!(
                events,
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
    on_both(|| async {
        for mode in MODES {
            let (callbacks, recorder) = recorded(mode);
            drop(start(&callbacks).await.stream(words(["Be"]), chunk));
            // nor is there anything where nothing was a chunk
            let run = start(&callbacks).await;
            let mut items = run.stream(words(["Be"]), |_| None);
            assert!(items.next().await.is_some());
            drop(items);
            let events = recorder.until(|events| events.len() == 4).await;
            let errors: Vec<_> = events.iter().filter_map(error).collect();
            let nothing = (ErrorKind::Dropped, None);
            assert_eq!(errors, [nothing.clone(), nothing], "{mode}");
            recorder.assert_balanced();
        }
    });
}

/// The kind of an error, and what had arrived.
fn error(recorded: &Recorded) -> Option<(ErrorKind, Option<String>)> {
    let event = recorded.event();
    let event = LlmError::of(&event)?;
    Some((event.error.kind, text(event.response).map(str::to_owned)))
}

#[tokio::test]
async fn after_its_end_there_is_nothing_to_close() {
    let (callbacks, recorder) = recorded("lane");
    for inner in [vec![Ok("Be")], Vec::from(broken())] {
        let mut items = start(&callbacks).await.stream(stream::iter(inner), chunk);
        items.by_ref().count().await;
        recorder.assert_balanced();
        let told = recorder.len();
        drop(items);
        assert!(
            callbacks
                .flush(std::time::Duration::from_secs(60))
                .await
                .is_complete()
        );
        assert_eq!(recorder.len(), told);
    }
}

/// Suspends in every event.
struct Slow;

#[callback_handler]
impl Slow {
    async fn on_llm_new_token(&self) {
        yield_now().await;
        yield_now().await;
    }

    async fn on_llm_end(&self) {
        yield_now().await;
        yield_now().await;
    }

    async fn on_llm_error(&self) {
        yield_now().await;
        yield_now().await;
    }
}

/// A word, and then nothing, not even the end.
fn unfinished(word: &'static str) -> impl Stream<Item = Item> + Unpin + Send {
    words([word]).chain(stream::pending())
}

/// Suspends before each item.
fn slowly(items: Vec<Item>) -> impl Stream<Item = Item> + Send {
    stream::iter(items).then(async |item| {
        yield_now().await;
        item
    })
}

/// Reads for so many polls. Says whether there was more to read.
async fn read(items: impl Stream<Item = Item>, polls: usize) -> bool {
    let mut items = std::pin::pin!(items);
    for _ in 0..polls {
        match poll!(items.next()) {
            std::task::Poll::Ready(None) => return false,
            std::task::Poll::Ready(Some(_)) => {}
            std::task::Poll::Pending => yield_now().await,
        }
    }
    true
}

/// What was told, in order: the tokens, and how it went.
fn told(events: &[Recorded]) -> (String, &'static str) {
    let mut tokens = String::new();
    for recorded in events {
        if let Some(event) = LlmNewToken::of(&recorded.event()) {
            tokens += event.token;
        }
    }
    let last = events.last().map(Recorded::method).unwrap_or_default();
    (tokens, last)
}

#[test]
fn wherever_it_is_cancelled_it_closes_once_with_what_had_arrived() {
    on_both(|| async {
        for mode in ["lane", "inline", "async"] {
            for whole in [true, false] {
                let mut lasts = Vec::new();
                for polls in 0.. {
                    let (callbacks, recorder) = recorded(mode);
                    let run = start(&callbacks.with(Slow)).await;
                    let mut inner = Vec::from(broken());
                    inner.retain(|item| !whole || item.is_ok());
                    let more = read(run.stream(slowly(inner), chunk), polls).await;
                    let events = closed(&recorder).await;
                    let (tokens, last) = told(&events);
                    if let Some((kind, arrived)) = events.iter().find_map(error) {
                        assert_eq!(arrived.unwrap_or_default(), tokens, "{mode} {polls}");
                        let failed = kind == ErrorKind::Failed && !whole && tokens == "Becau";
                        let dropped = kind == ErrorKind::Dropped;
                        assert!(failed || dropped, "{mode} {polls} {kind:?}");
                    } else {
                        assert_eq!((&*tokens, last), ("Because", "on_llm_end"));
                    }
                    lasts.push(last);
                    if !more {
                        break;
                    }
                }
                assert!(lasts.len() > 10, "{lasts:?}");
                assert_eq!(lasts[0], "on_llm_error");
                let end = if whole { "on_llm_end" } else { "on_llm_error" };
                assert_eq!(lasts.last(), Some(&end));
            }
        }
    });
}

/// Is told of the end, and takes its time for it.
struct Late {
    go: Arc<Notify>,
    log: Log,
}

#[callback_handler]
impl Late {
    async fn on_llm_end(&self, response: &LlmResult) {
        self.go.notified().await;
        self.log.add(response.text());
    }
}

#[test]
fn an_end_that_was_begun_is_told_in_full() {
    on_both(|| async {
        let (go, log) = (Arc::new(Notify::new()), Log::new());
        let late = Late {
            go: go.clone(),
            log: log.clone(),
        };
        let (callbacks, recorder) = recorded("lane");
        let callbacks = callbacks.with(late);
        let mut items = start(&callbacks).await.stream(words(["Because"]), chunk);
        assert!(items.next().await.is_some());
        assert!(poll!(items.next()).is_pending());
        drop(items);
        assert!(log.lines().is_empty());
        go.notify_one();
        assert!(callbacks.flush(LONG).await.is_complete());
        assert_eq!(log.lines(), ["Because"]);
        assert_events!(recorder, [LlmStart, LlmNewToken, LlmEnd]);
    });
}

#[test]
fn with_its_task_it_closes() {
    on_both(|| async {
        for mode in MODES {
            let (callbacks, recorder) = recorded(mode);
            let run = start(&callbacks).await;
            let inner = unfinished("Be");
            let reader = tokio::spawn(run.stream(inner, chunk).count());
            recorder
                .until(|events| events.iter().any(Recorded::is::<LlmNewToken<'_>>))
                .await;
            reader.abort();
            let events = closed(&recorder).await;
            let expected = (ErrorKind::Dropped, Some("Be".to_owned()));
            assert_eq!(events.iter().find_map(error), Some(expected), "{mode}");
            assert_eq!(events.len(), 3);
        }
    });
}

#[test]
fn a_full_queue_does_not_hold_up_its_closing() {
    on_both(|| async {
        let (faulty, stall) = Faulty::stall();
        let faulty = faulty.on::<LlmNewToken<'_>>().on::<LlmError<'_>>();
        let (callbacks, recorder) = recorded("lane");
        let queued = handler(faulty.clone()).background(Queue::bounded(1));
        let run = start(&callbacks.with(queued)).await;
        let inner = stream::iter(["a"; 9].map(Item::Ok));
        let mut items = run.stream(inner, chunk);
        while poll!(items.next()).is_ready() {}
        drop(items);
        let events = closed(&recorder).await;
        let (kind, _) = events.iter().find_map(error).unwrap();
        assert_eq!(kind, ErrorKind::Dropped);
        drop(stall);
    });
}

#[test]
fn leaked_it_is_closed_by_the_run_around_it() {
    on_both(|| async {
        for mode in MODES {
            let (callbacks, recorder) = recorded(mode);
            let chain = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
            let run = start(chain.callbacks()).await;
            let mut items = run.stream(words(["Be", "cause"]), chunk);
            assert!(items.next().await.is_some());
            std::mem::forget(items);
            chain.end(Value::Null).await.unwrap();
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

/// Reads a stream that panics on the way, in a task of its own, and returns what was told.
async fn panics<S>(mode: &str, stream: impl FnOnce(LlmRun) -> S) -> Vec<Recorded>
where
    S: Stream<Item = Item> + Send + 'static,
{
    let (callbacks, recorder) = recorded(mode);
    let items = stream(start(&callbacks).await);
    let read = tokio::spawn(items.count()).await;
    assert!(read.unwrap_err().is_panic());
    closed(&recorder).await
}

#[test]
fn a_panic_on_the_way_closes_it() {
    on_both(|| async {
        let panicked =
            |arrived: Option<&str>| Some((ErrorKind::Panicked, arrived.map(str::to_owned)));
        for mode in MODES {
            let in_closure = panics(mode, |run| {
                run.stream(words(["Be", "cause"]), |word| match *word {
                    "Be" => chunk(word),
                    _ => panic!("the closure panics"),
                })
            });
            let events = in_closure.await;
            assert_eq!(
                events.iter().find_map(error),
                panicked(Some("Be")),
                "{mode}"
            );

            let inside = panics(mode, |run| {
                let inner = words(["Be", "cause"]).map(|word| match word {
                    Ok("Be") => word,
                    _ => panic!("the stream inside panics"),
                });
                run.stream(inner, chunk)
            });
            let events = inside.await;
            assert_eq!(
                events.iter().find_map(error),
                panicked(Some("Be")),
                "{mode}"
            );

            let amending = panics(mode, |run| {
                let items = run.stream(words(["Be"]), chunk);
                items.amend(|_| panic!("what amends panics"))
            });
            let events = amending.await;
            let error = events.iter().find_map(error);
            let expected = (ErrorKind::Panicked, Some("Be".to_owned()));
            assert_eq!(error, Some(expected), "{mode}");
        }
    });
}

#[tokio::test]
async fn a_panic_that_the_reader_catches_closes_it_at_once() {
    let (callbacks, recorder) = recorded("lane");
    let run = start(&callbacks).await;
    let mut items = run.stream(words(["Be", "cause", "so"]), |word| match *word {
        "cause" => panic!("the closure panics"),
        _ => chunk(word),
    });
    assert!(items.next().await.is_some());
    let caught = AssertUnwindSafe(items.next()).catch_unwind().await;
    assert!(caught.is_err());
    let events = closed(&recorder).await;
    let expected = (ErrorKind::Panicked, Some("Be".to_owned()));
    assert_eq!(events.iter().find_map(error), Some(expected));
    // what comes then is no business of the handlers
    assert_eq!(items.next().await.unwrap().unwrap(), "so");
    assert!(items.next().await.is_none());
    assert_eq!(recorder.len(), events.len());
}

/// Two that are read at the same time, and one that loses.
#[test]
fn a_loser_closes() {
    on_both(|| async {
        let recorder = Recorder::new();
        let callbacks = Callbacks::new().with(recorder.clone()).with(Slow);
        let quick = start(&callbacks).await.stream(words(["a"]), chunk);
        let slow = start(&callbacks).await;
        let slow = slow.stream(unfinished("b"), chunk);
        tokio::select! {
            count = quick.count() => assert_eq!(count, 1),
            _ = slow.count() => unreachable!("it is pending"),
        }
        let events = closed(&recorder).await;
        let ends = |recorded: &&Recorded| recorded.is::<LlmEnd<'_>>();
        assert_eq!(events.iter().filter(ends).count(), 1);
        let (kind, _) = events.iter().find_map(error).unwrap();
        assert_eq!(kind, ErrorKind::Dropped);
    });
}
