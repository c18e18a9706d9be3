//! How long an emission takes that waits for its handlers, while others are slow: a handler in the
//! background, beside a quick one there, or a method of another run tree that blocks its thread.

use std::env;
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use callbacks::{Callbacks, LlmRun, Queue, callback_handler, handler};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::time::sleep;

const TOKENS: usize = 10_000;

fn main() {
    // Not in a test.
    if env::args().all(|arg| arg != "--bench") {
        return;
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = runtime.expect("threads can be had");
    println!(
        "{:48} {:>8} {:>8} {:>8}",
        "a token for a handler, us", "p50", "p99", "p99.9"
    );
    runtime.block_on(async {
        for (how, inline) in [("on its lane", false), ("inline", true)] {
            let to = || {
                let handler = handler(Told);
                Callbacks::new().with(if inline { handler.inline() } else { handler })
            };
            measure(&format!("{how}, alone"), &start(&to()).await).await;

            // With room for all, so that each event is queued in both rows.
            let queue = Queue::bounded(2 * TOKENS);
            let to_both = to().with(handler(Told).background(queue));
            let row = format!("{how}, with a quick one in the background");
            measure(&row, &start(&to_both).await).await;

            let slept = Arc::new(AtomicUsize::new(0));
            let sleeps = handler(Sleeps(Arc::downgrade(&slept))).background(queue);
            let row = format!("{how}, with one that sleeps for 100 ms there");
            measure(&row, &start(&to().with(sleeps)).await).await;
            assert!(slept.load(Ordering::Relaxed) > 0);
            drop(slept);

            let (entered, is_stuck) = oneshot::channel();
            let (leave, stuck) = mpsc::channel();
            let stuck = Stuck(Some(entered).into(), stuck.into());
            let elsewhere = start(&Callbacks::new().with(stuck)).await;
            let emission = tokio::spawn(async move {
                let told = elsewhere.new_token("token").await;
                told.expect("it is open");
            });
            is_stuck.await.expect("it is called");
            let row = format!("{how}, while another run's method blocks");
            measure(&row, &start(&to()).await).await;
            leave.send(()).expect("it waits for that");
            emission.await.expect("it does not panic");
        }
    });
}

async fn start(callbacks: &Callbacks) -> LlmRun {
    let start = callbacks.llm_start(None, Vec::new).await;
    start.expect("nothing is closed yet")
}

struct Told;

#[callback_handler]
impl Told {
    fn on_llm_new_token(&self, token: &str) {
        black_box(token);
    }
}

/// Sleeps for as long as somebody counts how often.
struct Sleeps(Weak<AtomicUsize>);

#[callback_handler]
impl Sleeps {
    fn on_llm_new_token(&self) {
        if let Some(count) = self.0.upgrade() {
            count.fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Tells that it is called, and waits.
struct Stuck(
    Mutex<Option<oneshot::Sender<()>>>,
    Mutex<mpsc::Receiver<()>>,
);

#[callback_handler]
impl Stuck {
    fn on_llm_new_token(&self) {
        let entered = self.0.lock().expect("nobody panics").take();
        entered
            .expect("it is called once")
            .send(())
            .expect("somebody waits");
        let leave = self.1.lock().expect("nobody panics");
        leave.recv().expect("it is told to leave");
    }
}

/// A token each millisecond, as a model sends them.
async fn measure(row: &str, run: &LlmRun) {
    let mut taken = Vec::with_capacity(TOKENS);
    for _ in 0..TOKENS {
        sleep(Duration::from_millis(1)).await;
        let begin = Instant::now();
        run.new_token("token").await.expect("it is open");
        taken.push(begin.elapsed());
    }
    taken.sort();
    let [p50, p99, p999] = [500, 990, 999].map(|mille| {
        let at = TOKENS * mille / 1000;
        taken[at].as_secs_f64() * 1e6
    });
    println!("{row:48} {p50:8.1} {p99:8.1} {p999:8.1}");
}
