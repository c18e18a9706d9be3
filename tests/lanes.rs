//! Rule 2, at scale and in bad surroundings: sync methods are called by a bounded number of threads
//! that leave when there is nothing to do, whatever tokio's own threads are busy with.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use callbacks::{Callbacks, callback_handler};
use callbacks_tests::{CHAIN, Log};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

/// The workers belong to the process, so only one test at a time looks at them.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn runtime() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder
        .worker_threads(2)
        .max_blocking_threads(1)
        .enable_all();
    builder.build().unwrap()
}

/// Counts its calls, and how many of them there are at once.
#[derive(Default)]
struct Busy {
    pause: Duration,
    now: AtomicUsize,
    at_once: AtomicUsize,
    calls: AtomicUsize,
}

#[callback_handler]
impl Busy {
    fn on_text(&self) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.at_once.fetch_max(now, Ordering::SeqCst);
        thread::sleep(self.pause);
        self.now.fetch_sub(1, Ordering::SeqCst);
        self.calls.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn ten_thousand_run_trees_use_a_bounded_number_of_threads() {
    let _alone = alone();
    for pause in [Duration::ZERO, Duration::from_millis(1)] {
        let busy = Arc::new(Busy {
            pause,
            ..Busy::default()
        });
        let callbacks = Callbacks::new().with(busy.clone());
        runtime().block_on(async {
            let mut trees = JoinSet::new();
            for _ in 0..10_000 {
                let callbacks = callbacks.clone();
                trees.spawn(async move {
                    let run = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
                    run.text("one").await.unwrap();
                    run.text("two").await.unwrap();
                    run.end(Value::Null).await.unwrap();
                });
            }
            while let Some(tree) = trees.join_next().await {
                tree.unwrap();
            }
        });
        assert_eq!(busy.calls.load(Ordering::SeqCst), 20_000);
        let at_once = busy.at_once.load(Ordering::SeqCst);
        assert!((1..=64).contains(&at_once), "{at_once}");
    }
}

/// Methods that wait for each other find a thread each, as long as there are any: no method waits for
/// one that blocks.
#[test]
fn as_many_methods_run_at_once_as_there_are_threads() {
    struct Meets(Arc<Barrier>);

    #[callback_handler]
    impl Meets {
        fn on_text(&self) {
            self.0.wait();
        }
    }

    let _alone = alone();
    let all = Arc::new(Barrier::new(64));
    let with = |callbacks: Callbacks, _| callbacks.with(Meets(all.clone()));
    let callbacks = (0..64).fold(Callbacks::new(), with);
    runtime().block_on(async {
        let run = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
        run.text("text").await.unwrap();
        run.end(Value::Null).await.unwrap();
    });
}

#[cfg(target_os = "linux")]
#[test]
fn idle_threads_leave() {
    let _alone = alone();
    let workers = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let names = tasks.filter_map(|task| {
            // a thread can be gone by now
            std::fs::read_to_string(task.ok()?.path().join("comm")).ok()
        });
        names
            .filter(|name| name.starts_with("callbacks-lane"))
            .count()
    };
    let callbacks = Callbacks::new().with(Busy::default());
    runtime().block_on(async {
        let run = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
        run.text("one").await.unwrap();
        assert!(workers() > 0);
        let gone = async {
            while workers() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), gone)
            .await
            .unwrap();
        // and come back
        run.text("two").await.unwrap();
        run.end(Value::Null).await.unwrap();
    });
}

#[test]
fn a_full_blocking_pool_is_nothing_to_a_lane() {
    let _alone = alone();
    let runtime = runtime();
    let (free, occupied) = mpsc::channel::<()>();
    let occupied = runtime.spawn_blocking(move || occupied.recv());
    let busy = Arc::new(Busy::default());
    let callbacks = Callbacks::new().with(busy.clone());
    runtime.block_on(async {
        let run = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
        run.text("text").await.unwrap();
    });
    assert_eq!(busy.calls.load(Ordering::SeqCst), 1);
    free.send(()).unwrap();
    runtime.block_on(occupied).unwrap().unwrap();
}

/// What is queued when a runtime goes down is called all the same.
#[test]
fn a_lane_outlives_the_runtime() {
    struct Stuck {
        entered: mpsc::Sender<()>,
        leave: Mutex<mpsc::Receiver<()>>,
        log: Log,
    }

    #[callback_handler]
    impl Stuck {
        fn on_text(&self, text: &str) {
            if text == "one" {
                self.entered.send(()).unwrap();
                self.leave.lock().unwrap().recv().unwrap();
            }
            self.log.add(text);
        }

        fn on_chain_error(&self) {
            self.log.add("error");
            self.entered.send(()).unwrap();
        }
    }

    let _alone = alone();
    let ((entered, inside), (free, leave)) = (mpsc::channel(), mpsc::channel());
    let log = Log::new();
    let callbacks = Callbacks::new().with(Stuck {
        entered,
        leave: Mutex::new(leave),
        log: log.clone(),
    });
    let runtime = runtime();
    runtime.spawn(async move {
        let run = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
        tokio::join!(run.text("one"), run.text("two"))
    });
    inside.recv().unwrap();
    drop(runtime);
    free.send(()).unwrap();
    inside.recv().unwrap();
    assert_eq!(log.lines(), ["one", "two", "error"]);
}
