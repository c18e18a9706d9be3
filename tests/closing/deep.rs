//! Deep and wide trees close in time, and without recursion.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use callbacks::{Callbacks, ChainRun, callback_handler, handler};
use callbacks_tests::{CHAIN, TOOL};
use futures_util::poll;
use serde_json::Value;
use tokio::runtime::Builder;
use tokio::sync::Semaphore;

/// Counts what ends with an error.
struct Errors(Mutex<usize>);

#[callback_handler]
impl Errors {
    fn on_chain_error(&self) {
        *self.0.lock().unwrap() += 1;
    }

    fn on_tool_error(&self) {
        *self.0.lock().unwrap() += 1;
    }
}

/// So many chains, each in the one before.
async fn nested(callbacks: &Callbacks, depth: usize) -> Vec<ChainRun> {
    let mut runs = vec![callbacks.chain_start(&CHAIN, Value::Null).await.unwrap()];
    for _ in 1..depth {
        let inside = runs.last().unwrap().callbacks();
        runs.push(inside.chain_start(&CHAIN, Value::Null).await.unwrap());
    }
    runs
}

#[tokio::test]
async fn a_deep_tree_closes_without_recursion() {
    let errors = Arc::new(Errors(Mutex::new(0)));
    let callbacks = Callbacks::new().with(handler(errors.clone()).inline());
    let root = callbacks.chain_start(&CHAIN, &Value::Null).await.unwrap();
    let mut runs = nested(root.callbacks(), 10_000).await;
    root.end(&Value::Null).await.unwrap();
    assert_eq!(*errors.0.lock().unwrap(), 10_000);
    // the last one alone holds all the others' infos
    let last = runs.pop();
    drop(runs);
    drop(last);
}

/// Each waits for the one below it, and not for all that are below: nobody has driven any yet.
#[tokio::test]
async fn a_deep_tree_closes_from_the_inside_in_time() {
    let errors = Arc::new(Errors(Mutex::new(0)));
    let callbacks = Callbacks::new().with(handler(errors.clone()).inline());
    let mut runs = nested(&callbacks, 10_000).await;
    let closed = async {
        while let Some(deepest) = runs.pop() {
            drop(deepest);
        }
        callbacks.flush(Duration::from_secs(10)).await
    };
    let report = tokio::time::timeout(Duration::from_secs(10), closed).await;
    assert!(report.unwrap().is_complete());
    assert_eq!(*errors.0.lock().unwrap(), 10_000);
}

/// Hears the ends of chains, and is not done with any before it is let go.
struct Holds(Semaphore, AtomicUsize);

#[callback_handler]
impl Holds {
    async fn on_chain_error(&self) {
        let _ = self.0.acquire().await;
        self.1.fetch_add(1, Ordering::SeqCst);
    }

    async fn on_chain_end(&self) {
        let _ = self.0.acquire().await;
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

impl Holds {
    fn new() -> (Callbacks, Arc<Self>) {
        let holds = Arc::new(Self(Semaphore::new(0), AtomicUsize::new(0)));
        (Callbacks::new().with(holds.clone()), holds)
    }

    fn let_go(&self) {
        self.0.close();
    }

    fn ended(&self) -> usize {
        self.1.load(Ordering::SeqCst)
    }
}

/// Each waits for the one below it, which waits itself.
#[tokio::test]
async fn a_deep_tree_of_runs_that_are_closing_closes_without_recursion() {
    let (callbacks, holds) = Holds::new();
    let mut runs = nested(&callbacks, 10_000).await;
    while let Some(deepest) = runs.pop() {
        drop(deepest);
    }
    for _ in 0..4 {
        tokio::task::yield_now().await;
    }
    assert_eq!(holds.ended(), 0);
    holds.let_go();
    assert!(callbacks.flush(Duration::from_secs(30)).await.is_complete());
    assert_eq!(holds.ended(), 10_000);
}

/// The same, with ends that somebody waits for: all are polled once, and then only the outermost
/// one. It brings the others on, whatever runs it.
#[test]
fn a_deep_tree_of_ends_closes_without_recursion() {
    async fn ends() {
        let (callbacks, holds) = Holds::new();
        let mut ends = Vec::new();
        for run in nested(&callbacks, 10_000).await.into_iter().rev() {
            let mut end = Box::pin(run.end(Value::Null));
            assert!(poll!(end.as_mut()).is_pending());
            ends.push(end);
        }
        assert_eq!(holds.ended(), 0);
        holds.let_go();
        let outermost = ends.pop().unwrap();
        outermost.await.unwrap();
        assert_eq!(holds.ended(), 10_000);
        for end in ends {
            end.await.unwrap();
        }
        assert_eq!(holds.ended(), 10_000);
    }

    Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(ends());
    let workers = Builder::new_multi_thread().worker_threads(2).build();
    workers.unwrap().block_on(ends());
    futures_executor::block_on(ends());
}

/// The thread waits that runs the runtime of the ends inside.
#[tokio::test]
async fn a_deep_tree_closes_on_a_thread_that_waits() {
    let (callbacks, holds) = Holds::new();
    let blocking = callbacks.blocking();
    let root = blocking.chain_start(&CHAIN, Value::Null).start().unwrap();
    let runs = nested(root.callbacks(), 100).await;
    let mut ends = Vec::new();
    for run in runs.into_iter().rev() {
        let mut end = Box::pin(run.end(Value::Null));
        assert!(poll!(end.as_mut()).is_pending());
        ends.push(end);
    }
    holds.let_go();
    root.end(Value::Null).unwrap();
    assert_eq!(holds.ended(), 101);
}

#[tokio::test]
async fn a_wide_tree_closes_in_time() {
    let errors = Arc::new(Errors(Mutex::new(0)));
    let callbacks = Callbacks::new().with(handler(errors.clone()).inline());
    let root = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
    let mut runs = Vec::new();
    for _ in 0..100_000 {
        runs.push(root.callbacks().tool_start(&TOOL, "").await.unwrap());
    }
    root.end(Value::Null).await.unwrap();
    assert_eq!(*errors.0.lock().unwrap(), 100_000);
    drop(runs);
}
