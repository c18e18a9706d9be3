//! `callbacks` itself, by path, as its README says: inline, on lanes, async, in the background.

use std::hint::black_box;
use std::time::Duration;

use callbacks::{Callbacks, LlmResult, LlmRun, Queue, callback_handler, handler};
use futures_util::FutureExt;

use super::each;
use crate::handlers::Calls;
use crate::rows::Row;
use crate::subject::{Emit, InBursts, Queued, Subject, TOKEN};

/// What is the same for handlers of all kinds.
pub(crate) fn unheard(row: Row, calls: &Calls) -> Option<Box<dyn Subject>> {
    match row {
        Row::Unheard => Some(Box::new(tokens(&Callbacks::new()))),
        Row::Unwanted(n) => {
            let handlers = each(n, calls, Bystander);
            Some(Box::new(tokens(
                &handlers.fold(Callbacks::new(), |callbacks, handler| {
                    callbacks.with(handler)
                }),
            )))
        }
        Row::Plain(_) | Row::Async(_) => None,
        Row::Run => Some(Box::new(Runs(Callbacks::new()))),
    }
}

pub(crate) fn inline(row: Row, calls: &Calls) -> Option<Box<dyn Subject>> {
    let callbacks = plain(row, calls, |callbacks, counter| {
        callbacks.with(handler(counter).inline())
    })?;
    Some(Box::new(tokens(&callbacks)))
}

pub(crate) fn lanes(row: Row, calls: &Calls) -> Option<Box<dyn Subject>> {
    let callbacks = plain(row, calls, Callbacks::with)?;
    Some(Box::new(tokens(&callbacks)))
}

pub(crate) fn asynchronous(row: Row, calls: &Calls) -> Option<Box<dyn Subject>> {
    let Row::Async(n) = row else { return None };
    let with = |callbacks: Callbacks, counter| callbacks.with(counter);
    let callbacks = each(n, calls, AsyncCounter).fold(Callbacks::new(), with);
    Some(Box::new(tokens(&callbacks)))
}

pub(crate) fn background(row: Row, calls: &Calls) -> Option<Box<dyn Subject>> {
    let callbacks = plain(row, calls, |callbacks, counter| {
        callbacks.with(handler(counter).background(Queue::bounded(1024)))
    })?;
    let run = tokens(&callbacks);
    Some(Box::new(InBursts(InBackground { run, callbacks })))
}

fn plain(row: Row, calls: &Calls, with: fn(&Callbacks, Counter) -> Callbacks) -> Option<Callbacks> {
    let Row::Plain(n) = row else { return None };
    let counters = (0..n).map(|_| Counter(calls.clone()));
    Some(counters.fold(Callbacks::new(), |callbacks, counter| {
        with(&callbacks, counter)
    }))
}

struct Counter(Calls);

#[callback_handler]
impl Counter {
    fn on_llm_new_token(&self, token: &str) {
        self.0.count(token);
    }
}

struct AsyncCounter(Calls);

#[callback_handler]
impl AsyncCounter {
    async fn on_llm_new_token(&self, token: &str) {
        self.0.count(token);
    }
}

/// Has no method for a token.
struct Bystander(Calls);

#[callback_handler]
impl Bystander {
    fn on_llm_end(&self) {
        self.0.count("the end");
    }
}

struct Tokens(LlmRun);

fn tokens(callbacks: &Callbacks) -> Tokens {
    let start = callbacks.llm_start(None, Vec::new).into_future();
    let started = start.now_or_never().expect("no handler is waited for");
    Tokens(started.expect("nothing is closed yet"))
}

impl Emit for Tokens {
    async fn emit(&self) {
        let emission = black_box(&self.0).new_token(black_box(TOKEN));
        emission.await.expect("the run is open");
    }
}

struct Runs(Callbacks);

impl Emit for Runs {
    async fn emit(&self) {
        let start = black_box(&self.0).llm_start(None, Vec::new);
        let run = start.await.expect("nothing is closed yet");
        let end = run.end(|| LlmResult::from_text(TOKEN));
        end.await.expect("the run is open");
    }
}

struct InBackground {
    run: Tokens,
    callbacks: Callbacks,
}

impl Queued for InBackground {
    async fn emit(&self) {
        self.run.emit().await;
    }

    async fn delivered(&self) {
        let report = self.callbacks.flush(Duration::from_secs(30)).await;
        assert!(report.is_complete(), "{report:?}");
    }
}
