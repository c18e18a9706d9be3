//! The rows of what waits, or is done by another thread: there the machine decides more than the code, so
//! that only the ratio to the counterpart says something.

use std::cell::{Cell, RefCell};
use std::hint::{black_box, spin_loop};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use callbacks::{Callbacks, LlmResult, Queue, callback_handler, handler};
use tokio::sync::{mpsc as bounded, oneshot};
use tokio::task::{spawn_blocking, yield_now};
use tokio::time::sleep;

use crate::compare::Table;
use crate::sides::{BareAsync, Plain, Row, Rows as _, TOKEN, new_token, run};

/// How many events there are in a burst, and for how many there is room.
const BURST: u32 = 64;
const ROOM: usize = 1024;

pub(crate) async fn rows(to: &mut Table) {
    for n in [1, 8, 64] {
        let ours = new_token(n, |to| to.with(Suspended)).await;
        let slowest = async || Suspended.on_token(TOKEN).await;
        to.row(Row("async, suspended once", n), ours, slowest).await;
    }
    for n in [1, 8, 64] {
        let with = |to: &Callbacks| to.with(Ends);
        ends(to, Row("terminal event, async", n), with, async |result| {
            for _ in 0..n {
                BareEnds::on_end(&Ends, result).await;
            }
        })
        .await;
    }
    let worker = worker();
    let with = |to: &Callbacks| to.with(Ended);
    ends(to, Row("terminal event, lane", 1), with, async |_| {
        round_trip(&worker).await;
    })
    .await;
    lanes(to, &worker).await;
    for n in [1, 8, 64] {
        background(to, n).await;
    }
}

/// Suspends once for each event.
struct Suspended;

#[callback_handler]
impl Suspended {
    async fn on_llm_new_token(&self, token: &str) {
        black_box(token);
        yield_now().await;
    }
}

#[async_trait]
impl BareAsync for Suspended {
    async fn on_token(&self, token: &str) {
        black_box(token);
        yield_now().await;
    }
}

/// Hears the end, by an async method.
struct Ends;

#[callback_handler]
impl Ends {
    async fn on_llm_end(&self, response: &LlmResult) {
        black_box(response);
    }
}

#[async_trait]
trait BareEnds {
    async fn on_end(&self, result: &LlmResult);
}

#[async_trait]
impl BareEnds for Ends {
    async fn on_end(&self, result: &LlmResult) {
        black_box(result);
    }
}

/// Hears the end, on its lane.
struct Ended;

#[callback_handler]
impl Ended {
    fn on_llm_end(&self, response: &LlmResult) {
        black_box(response);
    }
}

/// The end of a run that has begun already, beside a copy of its result and the same calls.
async fn ends(
    to: &mut Table,
    row: Row,
    with: impl Fn(&Callbacks) -> Callbacks,
    mut calls: impl AsyncFnMut(&LlmResult),
) {
    let callbacks = (0..row.1).fold(Callbacks::new(), |callbacks, _| with(&callbacks));
    let result = LlmResult::from_text("an answer of a few words");
    let runs = RefCell::new(Vec::new());
    let begin = async |times| {
        for _ in 0..times {
            let run = callbacks.llm_start(None, Vec::new).await;
            runs.borrow_mut().push(run.expect("nothing is closed yet"));
        }
    };
    let end = async || {
        let run = runs.borrow_mut().pop();
        let end = run.map(|run| run.end(&result));
        end.expect("it has begun").await.expect("it is open");
    };
    let bare = async || calls(&black_box(result.clone())).await;
    to.prepared(row, None, (begin, end), (nothing, bare)).await;
}

async fn nothing(_: u32) {}

/// Long enough for the other thread, and the processor, to go to sleep.
async fn gap(_: u32) {
    sleep(Duration::from_millis(1)).await;
}

/// As long as a fast model takes for a token.
async fn short_gap(_: u32) {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_micros(20) {
        spin_loop();
    }
}

/// A thread that answers what it is sent.
type Worker = mpsc::Sender<(String, oneshot::Sender<()>)>;

fn worker() -> Worker {
    let (worker, jobs) = mpsc::channel::<(String, oneshot::Sender<()>)>();
    thread::spawn(move || {
        for (token, reply) in jobs {
            black_box(&token);
            let _ = reply.send(());
        }
    });
    worker
}

async fn round_trip(worker: &Worker) {
    let (reply, answer) = oneshot::channel();
    let sent = worker.send((TOKEN.to_owned(), reply));
    sent.expect("it waits for jobs");
    answer.await.expect("it answers");
}

/// A sync handler on its lane, beside a bare queue with a reply, and beside `spawn_blocking`.
async fn lanes(to: &mut Table, worker: &Worker) {
    let blocking = async || {
        let token = TOKEN.to_owned();
        let called = spawn_blocking(move || {
            black_box(&token);
        });
        called.await.expect("it does not panic");
    };
    let ours = new_token(1, |to| to.with(Plain)).await;
    let bare = async || round_trip(worker).await;
    to.row(Row("lane", 1), ours, bare).await;
    let ours = new_token(1, |to| to.with(Plain)).await;
    to.row(Row("lane, beside `spawn_blocking`", 1), ours, blocking)
        .await;
    let ours = new_token(1, |to| to.with(Plain)).await;
    let row = Row("lane, after 1 ms", 1);
    to.prepared(row, Some(1), (gap, ours), (gap, bare)).await;
    let ours = new_token(1, |to| to.with(Plain)).await;
    let row = Row("lane, after 1 ms, beside the same", 1);
    to.prepared(row, Some(1), (gap, ours), (gap, blocking))
        .await;
    for n in [8, 64] {
        let ours = new_token(n, |to| to.with(Plain)).await;
        let row = Row("lanes, beside one `spawn_blocking`", n);
        to.row(row, ours, blocking).await;
    }
}

/// A handler in the background, beside a bounded queue for each, which is sent a copy.
async fn background(to: &mut Table, n: usize) {
    let queue = Queue::bounded(ROOM);
    let with = |to: &Callbacks| to.with(handler(Plain).background(queue));
    let run = run(n, with).await;
    let emit = async || run.new_token(black_box(TOKEN)).await.expect("it is open");

    let received = Arc::new(AtomicU64::new(0));
    let queues = (0..n).map(|_| consumer(received.clone()));
    let queues = queues.collect::<Vec<_>>();
    let count = Cell::new(0);
    let send = async || {
        let token = Arc::new(black_box(TOKEN).to_owned());
        for queue in &queues {
            count.set(count.get() + 1);
            queue.try_send(token.clone()).expect("there is room");
        }
    };

    let settled = async |_| {
        let report = run.callbacks().flush(Duration::from_secs(10)).await;
        assert!(report.is_complete());
    };
    let empty = async |_| {
        while received.load(Ordering::Acquire) < count.get() {
            yield_now().await;
        }
    };
    let row = Row("background, a burst of 64", n);
    to.prepared(row, Some(BURST), (settled, emit), (empty, send))
        .await;
    let row = Row("background, after 20 µs", n);
    to.prepared(row, Some(1), (short_gap, emit), (short_gap, send))
        .await;
}

fn consumer(received: Arc<AtomicU64>) -> bounded::Sender<Arc<String>> {
    let (queue, mut tokens) = bounded::channel(ROOM);
    thread::spawn(move || {
        while let Some(token) = tokens.blocking_recv() {
            black_box(&token);
            received.fetch_add(1, Ordering::AcqRel);
        }
    });
    queue
}
