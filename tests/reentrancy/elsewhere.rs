//! Runs that start inside callbacks, and are closed elsewhere, in many ways.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use callbacks::{Callbacks, ChainRun, EmitError, Queue, Run, RunId, callback_handler, handler};
use callbacks_tests::{LONG, Log};
use futures_util::{FutureExt, poll};
use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinSet, yield_now};

use super::acts::{Mode, act};
use super::{chain, inner};

/// An event and its number.
type Numbered = (&'static str, u64);

/// The events of each run, in the order of the calls.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<HashMap<RunId, Vec<Numbered>>>>);

impl Seen {
    fn add(&self, run: &Run<'_>, event: &'static str) {
        let mut runs = self.0.lock().unwrap();
        runs.entry(run.id()).or_default().push((event, run.seq()));
    }

    /// Each run has one start and one end, and by their numbers, all else is in between. The calls
    /// begin with the start; if they are `queued` they are in the order of the numbers, otherwise an
    /// emission that overlaps with the closing may be late. Gives the number of runs.
    fn check(&self, queued: bool) -> usize {
        let runs = self.0.lock().unwrap();
        for events in runs.values() {
            let mut sorted = events.clone();
            sorted.sort_by_key(|(_, seq)| *seq);
            let names: Vec<_> = sorted.iter().map(|(event, _)| *event).collect();
            let inside = names.len().saturating_sub(2);
            let expected = [&["start"], &vec!["text"; inside][..], &["end"]].concat();
            assert_eq!(names, expected);
            assert_eq!(events[0].0, "start", "{events:?}");
            assert!(!queued || *events == sorted, "{events:?}");
        }
        runs.len()
    }
}

struct SeesInSync(Seen);

#[callback_handler]
impl SeesInSync {
    fn on_chain_start(&self, run: &Run<'_>) {
        self.0.add(run, "start");
    }

    fn on_text(&self, run: &Run<'_>) {
        self.0.add(run, "text");
    }

    fn on_chain_end(&self, run: &Run<'_>) {
        self.0.add(run, "end");
    }

    fn on_chain_error(&self, run: &Run<'_>) {
        self.0.add(run, "end");
    }
}

struct SeesInAsync(Seen);

#[callback_handler]
impl SeesInAsync {
    async fn on_chain_start(&self, run: &Run<'_>) {
        self.0.add(run, "start");
        yield_now().await;
    }

    async fn on_text(&self, run: &Run<'_>) {
        self.0.add(run, "text");
        yield_now().await;
    }

    async fn on_chain_end(&self, run: &Run<'_>) {
        self.0.add(run, "end");
        yield_now().await;
    }

    async fn on_chain_error(&self, run: &Run<'_>) {
        self.0.add(run, "end");
        yield_now().await;
    }
}

fn unless_closed(emitted: Result<(), EmitError>) {
    match emitted {
        Ok(()) | Err(EmitError::RunClosed) => {}
        Err(error) => panic!("{error}"),
    }
}

/// Closes a run in one of several ways.
async fn close(run: ChainRun, how: u64) {
    match how {
        0 => drop(run),
        1 => drop(run.end(json!(null)).now_or_never()),
        2 => {
            unless_closed(run.text("all").await);
            unless_closed(run.end(json!(null)).await);
        }
        3 => {
            let mut given_up = Box::pin(run.text("some"));
            let _ = poll!(&mut given_up);
            drop(given_up);
            unless_closed(run.end(json!(null)).await);
        }
        _ => {
            let child = inner(run.callbacks()).await;
            unless_closed(run.end(json!(null)).await);
            if let Ok(child) = child {
                unless_closed(child.end(json!(null)).await);
            }
        }
    }
}

async fn close_all(mut runs: UnboundedReceiver<ChainRun>, mut seed: u64) {
    let mut tasks = JoinSet::new();
    while let Some(run) = runs.recv().await {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        tasks.spawn(close(run, (seed >> 33) % 5));
    }
    while let Some(closed) = tasks.join_next().await {
        closed.unwrap();
    }
}

/// Starts two runs, one in the other, for somebody else to close.
fn start_two(slot: &Mutex<Option<(Callbacks, UnboundedSender<ChainRun>)>>) {
    let Some((callbacks, to)) = slot.lock().unwrap().clone() else {
        return;
    };
    let start = |callbacks: &Callbacks| inner(callbacks).now_or_never().expect("nothing waits");
    let outer = start(&callbacks).unwrap();
    // It may be closed already, as soon as it is sent.
    let inside = outer.callbacks().clone();
    to.send(outer).unwrap();
    if let Ok(innermost) = start(&inside) {
        to.send(innermost).unwrap();
    }
}

async fn start_in_callbacks_and_close_elsewhere(mode: Mode, seed: u64) {
    let all: [Seen; 5] = Default::default();
    let [inline, lane, awaited, sync, background] = all.clone();
    let queue = Queue::bounded(4);
    let callbacks = Callbacks::new()
        .with(handler(SeesInSync(inline)).inline())
        .with(SeesInSync(lane))
        .with(SeesInAsync(awaited))
        .with(handler(SeesInSync(sync)).background(queue))
        .with(handler(SeesInAsync(background)).background(queue));
    let slot: Arc<Mutex<Option<_>>> = Arc::default();
    let there = slot.clone();
    let starts = act(move || {
        start_two(&there);
        async {}
    });
    let callbacks = mode.register(&callbacks, &starts, &Log::new());
    let root = chain(&callbacks).await;
    let (to, runs) = unbounded_channel();
    *slot.lock().unwrap() = Some((root.callbacks().clone(), to));
    let closing = tokio::spawn(close_all(runs, seed));
    for count in 0..20 {
        let mut go = Box::pin(root.text("go"));
        if (count + seed).is_multiple_of(3) {
            let _ = poll!(&mut go);
        } else {
            go.await.unwrap();
        }
    }
    while !callbacks.flush(LONG).await.is_complete() {}
    slot.lock().unwrap().take();
    // The others may not all be closed yet.
    root.end(json!(null)).await.unwrap();
    closing.await.unwrap();
    while !callbacks.flush(LONG).await.is_complete() {}
    let [inline, lane, awaited, sync, background] = all;
    let runs = inline.check(false);
    assert!(runs > 20, "{runs}");
    assert_eq!(awaited.check(false), runs);
    for queued in [lane, sync, background] {
        assert_eq!(queued.check(true), runs);
    }
}

/// Runs that start inside callbacks, and are closed elsewhere, in many ways: all handlers see all of
/// each, and in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_that_start_inside_and_close_outside_are_whole() {
    for mode in Mode::ALL {
        for seed in 0..3 {
            let round = start_in_callbacks_and_close_elsewhere(mode, seed);
            let round = tokio::time::timeout(LONG, round).await;
            round.unwrap_or_else(|_| panic!("{mode:?} {seed} hangs"));
        }
    }
}
