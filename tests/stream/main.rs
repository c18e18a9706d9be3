//! A model's answer as a stream or an iterator: what its reader gets, and what the handlers hear.

mod blocking;
mod early;
mod errors;
mod failures;
mod items;
mod waiting;

use std::io;

use callbacks::testing::{Recorded, Recorder};
use callbacks::{Callbacks, Chunk, LlmResult, Queue, handler};
use futures_util::{Stream, stream};
use tokio::runtime::Builder;

type Item = Result<&'static str, io::Error>;

/// A stream of these words.
fn words<const N: usize>(words: [&'static str; N]) -> impl Stream<Item = Item> + Unpin + Send {
    stream::iter(words.map(Ok))
}

/// Two words, then an error, then more.
fn broken() -> [Item; 4] {
    [
        Ok("Be"),
        Ok("cau"),
        Err(io::Error::other("line cut")),
        Ok("se"),
    ]
}

fn chunk(word: &&str) -> Chunk {
    Chunk::text(*word)
}

/// How a handler is called.
const MODES: [&str; 5] = ["lane", "inline", "async", "queue", "async queue"];

/// A recorder that is called in this way.
fn recorded(mode: &str) -> (Callbacks, Recorder) {
    let recorder = Recorder::new();
    let callbacks = Callbacks::new();
    let callbacks = match mode {
        "lane" => callbacks.with(recorder.clone()),
        "inline" => callbacks.with(handler(recorder.clone()).inline()),
        "async" => callbacks.with(recorder.clone().asynchronous()),
        "queue" => callbacks.with(handler(recorder.clone()).background(Queue::bounded(1))),
        _ => {
            let recorder = recorder.clone().asynchronous();
            callbacks.with(handler(recorder).background(Queue::bounded(1)))
        }
    };
    (callbacks, recorder)
}

/// What was recorded when all runs were closed.
async fn closed(recorder: &Recorder) -> Vec<Recorded> {
    let is_closed = |events: &[_]| !events.is_empty() && recorder.balanced().is_ok();
    recorder.until(is_closed).await;
    // what was asked whether it is balanced may be more than what was waited for
    recorder.events()
}

fn text(response: Option<&LlmResult>) -> Option<&str> {
    response.map(LlmResult::text)
}

/// Runs a test on a task of a runtime of each kind.
fn on_both<F: Future<Output = ()> + Send + 'static>(test: impl Fn() -> F) {
    for mut builder in [Builder::new_current_thread(), Builder::new_multi_thread()] {
        let runtime = builder.worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async { tokio::spawn(test()).await.unwrap() });
    }
}
