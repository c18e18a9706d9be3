//! Many runs at once: 100 tokens each, heard by an inline handler, an async one and one on its lane. What
//! an event takes and what an open run holds should not grow with the number of runs. Fails if a run of
//! many holds more than one of few, if there are too many threads, or if memory is left when all is over.

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

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

/// What an open run may hold, in bytes, with its lane and its task.
const RUN: f64 = 4096.0;

/// As many threads as there may be for lanes, those that are leaving, and the others of the process.
const THREADS: usize = 64 + 40;

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
        let Taken {
            bytes,
            threads,
            left,
        } = at_once(runs);
        if left > LEFT || bytes > RUN || threads > THREADS {
            println!("  more than there may be");
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

/// What so many runs took.
struct Taken {
    /// That each held, while it was open.
    bytes: f64,
    /// That the process had at most.
    threads: usize,
    /// Bytes that were not given back.
    left: usize,
}

/// Runs so many models at once.
fn at_once(runs: usize) -> Taken {
    let before = MEMORY.current_usage();
    let (bytes, threads) = {
        let runtime = runtime();
        let [inline, lane] = [(); 2].map(|()| Arc::new(Counts::default()));
        let future = Arc::new(CountsAsync::default());
        let callbacks = Callbacks::new()
            .with(handler(inline.clone()).inline())
            .with(future.clone())
            .with(lane.clone());
        let taken = runtime.block_on(all(runs, &callbacks));
        let expected = runs as u64 * TOKENS;
        let counts = [&inline.0, &future.0, &lane.0];
        let counts = counts.map(|count| count.load(Ordering::Relaxed));
        assert_eq!(counts, [expected; 3]);
        taken
    };
    // A thread that is done may be just about to give back what it holds.
    let begin = Instant::now();
    let left = || MEMORY.current_usage().saturating_sub(before);
    while left() > LEFT && begin.elapsed() < Duration::from_secs(5) {
        thread::yield_now();
    }
    let left = left();
    println!("{left:>14}");
    Taken {
        bytes,
        threads,
        left,
    }
}

/// What an open run holds, and how many threads there were at most.
async fn all(runs: usize, callbacks: &Callbacks) -> (f64, usize) {
    let tasks = Arc::new(Barrier::new(runs + 1));
    let mut all = JoinSet::new();
    for _ in 0..runs {
        let (callbacks, tasks) = (callbacks.clone(), tasks.clone());
        all.spawn(async move {
            tasks.wait().await;
            let run = callbacks.llm_start(&MODEL, Vec::new).await;
            let run = run.expect("nothing is closed yet");
            tasks.wait().await;
            for _ in 0..TOKENS {
                run.new_token("token").await.expect("it is open");
            }
            tasks.wait().await;
            tasks.wait().await;
            run.end(|| unreachable!("nobody hears it")).await
        });
    }
    let spawned = MEMORY.current_usage();
    tasks.wait().await;
    let (stop, most) = watch_threads();
    tasks.wait().await;
    let begin = Instant::now();
    tasks.wait().await;
    let taken = begin.elapsed();
    let open = MEMORY.current_usage().saturating_sub(spawned);
    drop(stop);
    let threads = most.join().expect("it only counts");
    tasks.wait().await;
    while let Some(ended) = all.join_next().await {
        ended.expect("none panics").expect("it is open");
    }
    #[allow(clippy::cast_precision_loss, reason = "there are not so many")]
    let (runs, events) = (runs as f64, (runs as u64 * TOKENS) as f64);
    #[allow(clippy::cast_precision_loss, reason = "there is not so much")]
    let (nanos, bytes) = (taken.as_secs_f64() * 1e9 / events, open as f64 / runs);
    print!("{runs:>8} {events:>12} {nanos:>12.0} {bytes:>14.0} {threads:>8} ");
    (bytes, threads)
}

/// Counts the threads of the process until it is told to stop, where they can be counted, and gives how
/// many there were at most. It is one of them.
fn watch_threads() -> (mpsc::Sender<()>, JoinHandle<usize>) {
    let (stop, stopped) = mpsc::channel();
    let most = thread::spawn(move || {
        let mut most = 0;
        let pause = Duration::from_millis(1);
        while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            let now = fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
            most = most.max(now);
        }
        most
    });
    (stop, most)
}

/// Hears of a conversation on its lane.
struct Reads;

#[callback_handler]
impl Reads {
    fn on_chat_model_start(&self, messages: &[Vec<Message>]) {
        black_box(messages);
    }
}

/// A conversation of 403 kB on its way through a lane: it is copied once.
fn history() {
    const ROUNDS: usize = 100;
    let text = "as long as a message is ".repeat(40);
    let messages = (0..420).map(|_| Message::human(&*text));
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
