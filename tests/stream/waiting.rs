//! The reader waits for the handlers, and for nobody inside of one. And the model is timed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use callbacks::events::{ChainStart, LlmEnd, LlmError, LlmNewToken};
use callbacks::testing::{Faulty, Recorder, Stall, assert_events};
use callbacks::{Callbacks, Chunk, LlmResult, Queue, callback_handler, handler};
use callbacks_tests::{CHAIN, MODEL, prompts, start};
use futures_util::{StreamExt, poll, stream};
use tokio::time::sleep;

use super::{Item, broken, chunk, closed, on_both, words};

/// Handlers that stall in this event: on a lane, or at an await.
fn stalling(on: impl Fn(Faulty) -> Faulty) -> [(Callbacks, Stall); 2] {
    [true, false].map(|asynchronous| {
        let (faulty, stall) = Faulty::stall();
        let faulty = on(faulty);
        let faulty = if asynchronous {
            faulty.asynchronous()
        } else {
            faulty
        };
        (Callbacks::new().with(faulty), stall)
    })
}

#[test]
fn an_item_is_given_out_when_the_handlers_are_done() {
    on_both(|| async {
        for (callbacks, stall) in stalling(Faulty::on::<LlmNewToken<'_>>) {
            let mut items = start(&callbacks).await.stream(words(["Be"]), chunk);
            assert!(poll!(items.next()).is_pending());
            stall.entered().await;
            assert!(poll!(items.next()).is_pending());
            stall.release();
            assert_eq!(items.next().await.unwrap().unwrap(), "Be");
            assert!(items.next().await.is_none());
        }
    });
}

#[test]
fn the_end_comes_when_the_handlers_are_done() {
    on_both(|| async {
        for (callbacks, stall) in stalling(Faulty::on::<LlmEnd<'_>>) {
            let mut items = start(&callbacks).await.stream(words([]), chunk);
            assert!(poll!(items.next()).is_pending());
            stall.entered().await;
            assert!(poll!(items.next()).is_pending());
            stall.release();
            assert!(items.next().await.is_none());
        }
    });
}

#[test]
fn an_error_is_given_out_when_the_handlers_are_done() {
    on_both(|| async {
        for (callbacks, stall) in stalling(Faulty::on::<LlmError<'_>>) {
            let inner = stream::iter(broken()).skip(2);
            let mut items = start(&callbacks).await.stream(inner, chunk);
            assert!(poll!(items.next()).is_pending());
            stall.entered().await;
            assert!(poll!(items.next()).is_pending());
            stall.release();
            assert!(items.next().await.unwrap().is_err());
            assert_eq!(items.next().await.unwrap().unwrap(), "se");
        }
    });
}

#[test]
fn a_full_queue_holds_the_reader_up() {
    on_both(|| async {
        for asynchronous in [true, false] {
            let (faulty, stall) = Faulty::stall();
            let faulty = faulty.on::<LlmNewToken<'_>>();
            let faulty = if asynchronous {
                faulty.asynchronous()
            } else {
                faulty
            };
            let callbacks =
                Callbacks::new().with(handler(faulty.clone()).background(Queue::bounded(1)));
            let run = start(&callbacks).await;
            let mut items = run.stream(words(["a", "b", "c", "d", "e"]), chunk);
            let mut read = 0;
            while let Poll::Ready(item) = poll!(items.next()) {
                assert!(item.is_some(), "nothing holds it up");
                read += 1;
            }
            assert!(read < 4, "{read}");
            drop(stall);
            assert_eq!(items.count().await, 5 - read);
            assert!(callbacks.flush(Duration::from_secs(60)).await.is_complete());
            assert_eq!(faulty.calls(), 5);
        }
    });
}

/// Reads a stream inside of a callback, and says when it has.
fn reads_inside(others: Callbacks, asynchronous: bool) -> (Callbacks, Arc<AtomicBool>) {
    let read = Arc::new(AtomicBool::new(false));
    let told = read.clone();
    let reads = if asynchronous {
        Faulty::calling_async(move |_| {
            let (others, told) = (others.clone(), told.clone());
            async move {
                let run = others.llm_start(&MODEL, prompts).await?;
                let items = run.stream(words(["Be", "cause"]), chunk);
                told.store(items.count().await == 2, Ordering::SeqCst);
                Ok::<_, callbacks::EmitError>(())
            }
        })
    } else {
        Faulty::calling(move |_| {
            let run = others.blocking().llm_start(&MODEL, prompts).start()?;
            let items = run.stream(["Be", "cause"].map(Item::Ok), chunk);
            told.store(items.count() == 2, Ordering::SeqCst);
            Ok::<_, callbacks::EmitError>(())
        })
    };
    let callbacks = Callbacks::new().with(reads.on::<ChainStart<'_>>());
    (callbacks, read)
}

#[test]
fn inside_a_callback_nothing_waits() {
    on_both(|| async {
        for (asynchronous, (others, stall)) in [true, false]
            .into_iter()
            .zip(stalling(Faulty::on::<LlmNewToken<'_>>))
        {
            let recorder = Recorder::new();
            let others = others.with(recorder.clone());
            let (callbacks, read) = reads_inside(others, asynchronous);
            let outer = tokio::spawn(async move {
                let chain = callbacks.chain_start(&CHAIN, serde_json::Value::Null);
                chain.await.unwrap().end(serde_json::Value::Null).await
            });
            stall.entered().await;
            assert!(read.load(Ordering::SeqCst), "it was read while it stalls");
            drop(stall);
            outer.await.unwrap().unwrap();
            let events = closed(&recorder).await;
            assert_events!(
                events,
                [
                    LlmStart,
                    LlmNewToken { token: "Be" },
                    LlmNewToken { token: "cause" },
                    LlmEnd { response } if response.text() == "Because",
                ]
            );
        }
    });
}

/// Takes its time at the start, and keeps what it hears of the model's.
#[derive(Clone, Default)]
struct Timed(Arc<Mutex<Vec<Option<Duration>>>>);

impl Timed {
    fn add(&self, response: Option<&LlmResult>) {
        let time = response.and_then(|response| response.llm_output.time_to_first_token);
        self.0.lock().unwrap().push(time);
    }
}

#[callback_handler]
impl Timed {
    async fn on_llm_start(&self) {
        sleep(Duration::from_secs(100)).await;
    }

    async fn on_llm_new_token(&self) {
        sleep(Duration::from_secs(100)).await;
    }

    async fn on_llm_end(&self, response: &LlmResult) {
        self.add(Some(response));
    }

    async fn on_llm_error(&self, response: Option<&LlmResult>) {
        self.add(response);
    }
}

#[tokio::test(start_paused = true)]
async fn the_model_is_timed_to_its_first_chunk() {
    const PING: &str = "ping";
    let timed = Timed::default();
    let callbacks = Callbacks::new().with(Arc::new(timed.clone()));
    for (words, expected) in [
        // one second for the request, and one for each word
        (vec!["a", "b"], Some(2.0)),
        (vec![PING, "a", "b"], Some(3.0)),
        (vec![PING], None),
        (vec!["a", "error"], Some(2.0)),
    ] {
        let run = callbacks.llm_start(&MODEL, prompts).await.unwrap();
        sleep(Duration::from_secs(1)).await;
        let run = run.into_run();
        let inner = stream::iter(words).then(async |word| {
            sleep(Duration::from_secs(1)).await;
            if word == "error" { Err(word) } else { Ok(word) }
        });
        let items = run.stream(inner, |word| (*word != PING).then(|| Chunk::text(*word)));
        drop(items.collect::<Vec<_>>().await);
        let measured = std::mem::take(&mut *timed.0.lock().unwrap());
        // timers are right to the millisecond
        let seconds = |time: Duration| time.as_secs_f64().round();
        let measured: Vec<_> = measured.iter().map(|time| time.map(seconds)).collect();
        assert_eq!(measured, [expected]);
    }
}
