//! Many runs at once: 100 tokens each, heard by an inline handler, an async one and one on its lane. What
//! an event takes and what an open run holds, before its first token, should not grow with the number of
//! runs: that is for the reader to see. When all is over, the memory is back; it fails if it is not.

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs};

use callbacks::{Callbacks, Message, Serialized, callback_handler, handler};
use peak_alloc::PeakAlloc;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

static MODEL: Serialized = Serialized::new("Model");

const TOKENS: u64 = 100;

/// What may be left of so many runs: the threads and queues that stay.
const LEFT: usize = 1 << 20;

fn main() -> ExitCode {
    // Not in a test.
    if env::args().all(|arg| arg != "--bench") {
        return ExitCode::SUCCESS;
    }
    println!(
        "{:>8} {:>12} {:>12} {:>14} {:>8} {:>14}",
        "runs", "events", "ns/event", "bytes per run", "threads", "bytes left"
    );
    let mut code = ExitCode::SUCCESS;
    // The first makes what is made once.
    for runs in [100, 100, 1_000, 10_000] {
        let left = at_once(runs);
        if left > LEFT {
            println!("  {left} bytes are left of {runs} runs");
            code = ExitCode::FAILURE;
        }
    }
    history();
    code
}

fn runtime() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build();
    runtime.expect("threads can be had")
}

#[derive(Default)]
struct Counts(AtomicU64);

#[callback_handler]
impl Counts {
    fn on_llm_new_token(&self, token: &str) {
        black_box(token);
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(Default)]
struct CountsAsync(AtomicU64);

#[callback_handler]
impl CountsAsync {
    async fn on_llm_new_token(&self, token: &str) {
        black_box(token);
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Runs so many models at once, and gives the memory that is left afterwards.
fn at_once(runs: usize) -> usize {
    let before = MEMORY.current_usage();
    {
        let runtime = runtime();
        let [inline, lane] = [(); 2].map(|()| Arc::new(Counts::default()));
        let future = Arc::new(CountsAsync::default());
        let callbacks = Callbacks::new()
            .with(handler(inline.clone()).inline())
            .with(future.clone())
            .with(lane.clone());
        runtime.block_on(all(runs, &callbacks));
        let expected = runs as u64 * TOKENS;
        let counts = [&inline.0, &future.0, &lane.0];
        let counts = counts.map(|count| count.load(Ordering::Relaxed));
        assert_eq!(counts, [expected; 3]);
    }
    // A thread that is done may be just about to give back what it holds.
    let begin = Instant::now();
    let left = || MEMORY.current_usage().saturating_sub(before);
    while left() > LEFT && begin.elapsed() < Duration::from_secs(5) {
        std::thread::yield_now();
    }
    println!("{:>14}", left());
    left()
}

async fn all(runs: usize, callbacks: &Callbacks) {
    let (tasks, idle) = (Arc::new(Barrier::new(runs + 1)), MEMORY.current_usage());
    let mut all = JoinSet::new();
    for _ in 0..runs {
        let (callbacks, tasks) = (callbacks.clone(), tasks.clone());
        all.spawn(async move {
            tasks.wait().await;
            let run = callbacks.llm_start(&MODEL, Vec::new).await;
            let run = run.expect("nothing is closed yet");
            tasks.wait().await;
            tasks.wait().await;
            for _ in 0..TOKENS {
                run.new_token("token").await.expect("it is open");
            }
            tasks.wait().await;
            run.end(|| unreachable!("nobody hears it")).await
        });
    }
    let spawned = MEMORY.current_usage();
    tasks.wait().await;
    tasks.wait().await;
    let open = MEMORY.current_usage() - spawned.max(idle);
    tasks.wait().await;
    let begin = Instant::now();
    tasks.wait().await;
    let (taken, threads) = (begin.elapsed(), threads());
    while let Some(ended) = all.join_next().await {
        ended.expect("none panics").expect("it is open");
    }
    #[allow(clippy::cast_precision_loss, reason = "there are not so many")]
    let (runs, events) = (runs as f64, (runs as u64 * TOKENS) as f64);
    #[allow(clippy::cast_precision_loss, reason = "there is not so much")]
    let (nanos, bytes) = (taken.as_secs_f64() * 1e9 / events, open as f64 / runs);
    print!("{runs:>8} {events:>12} {nanos:>12.0} {bytes:>14.0} {threads:>8} ");
}

/// How many threads the process has, where that is known.
fn threads() -> usize {
    fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

/// Hears of a conversation on its lane.
struct Reads;

#[callback_handler]
impl Reads {
    fn on_chat_model_start(&self, messages: &[Vec<Message>]) {
        black_box(messages);
    }
}

/// A conversation of 400 kB on its way through a lane: it is copied once.
fn history() {
    const ROUNDS: usize = 100;
    let text = "as long as a message is ".repeat(40);
    let messages = (0..400).map(|_| Message::human(&*text));
    let messages = messages.collect::<Vec<_>>();
    let callbacks = Callbacks::new().with(Reads);
    let [mut told, mut copied] = [(); 2].map(|()| Vec::new());
    runtime().block_on(async {
        for _ in 0..ROUNDS {
            let begin = Instant::now();
            let run = callbacks.chat_model_start(&MODEL, &messages).await;
            told.push(begin.elapsed());
            drop(run);
            let begin = Instant::now();
            drop(black_box(messages.clone()));
            copied.push(begin.elapsed());
        }
    });
    let [told, copied] = [told, copied].map(|mut times| {
        times.sort();
        times[ROUNDS / 2]
    });
    let size = text.len() * messages.len() / 1000;
    println!(
        "a history of {size} kB through a lane: {told:.0?}; to copy it and drop it: {copied:.0?}"
    );
}
