//! Sync methods are called on the thread that emits, and async ones are driven to their end.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

use callbacks::{Callbacks, LlmResult, OnFull, Queue, callback_handler, handler};
use callbacks_tests::{Log, MODEL, prompts};
use tokio::sync::{OnceCell, oneshot};

use super::{LONG, call, everywhere};

/// Remembers which thread it was called on.
#[derive(Default)]
struct Threads(Mutex<Vec<ThreadId>>);

#[callback_handler]
impl Threads {
    fn on_llm_start(&self) {
        self.0.lock().unwrap().push(thread::current().id());
    }

    fn on_llm_new_token(&self) {
        self.0.lock().unwrap().push(thread::current().id());
    }

    fn on_llm_end(&self) {
        self.0.lock().unwrap().push(thread::current().id());
    }
}

#[test]
fn sync_methods_are_called_on_the_callers_thread() {
    everywhere(|place| {
        let threads = Arc::new(Threads::default());
        call(&Callbacks::new().with(threads.clone()).blocking()).unwrap();
        let here = thread::current().id();
        assert_eq!(*threads.0.lock().unwrap(), [here; 4], "{place}");
    });
}

/// Has what handlers have: a pool that lives in a task, a timer, other tasks.
#[derive(Default)]
pub(super) struct Pooled {
    pool: OnceCell<tokio::sync::mpsc::Sender<oneshot::Sender<u32>>>,
    seen: Mutex<Vec<u32>>,
}

impl Pooled {
    pub(super) async fn ask(&self) {
        let pool = self.pool.get_or_init(async || {
            let (pool, mut requests) = tokio::sync::mpsc::channel::<oneshot::Sender<u32>>(1);
            tokio::spawn(async move {
                let mut served = 0;
                while let Some(request) = requests.recv().await {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    served += 1;
                    let _ = request.send(served);
                }
            });
            pool
        });
        let (reply, answer) = oneshot::channel();
        pool.await.send(reply).await.unwrap();
        let served = answer.await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.seen.lock().unwrap().push(served);
    }
}

#[callback_handler]
impl Pooled {
    async fn on_llm_start(&self) {
        self.ask().await;
    }

    async fn on_llm_new_token(&self) {
        self.ask().await;
    }

    async fn on_llm_end(&self) {
        self.ask().await;
    }
}

#[test]
fn async_methods_complete_and_keep_what_they_pool() {
    everywhere(|place| {
        let pooled = Arc::new(Pooled::default());
        let callbacks = Callbacks::new().with(pooled.clone()).blocking();
        call(&callbacks).unwrap();
        call(&callbacks).unwrap();
        let seen = pooled.seen.lock().unwrap().clone();
        assert_eq!(seen, [1, 2, 3, 4, 5, 6, 7, 8], "{place}");
    });
}

/// Without a runtime of its own it is always the same one, from any thread.
#[test]
fn what_is_pooled_is_there_for_the_next_thread() {
    let pooled = Arc::new(Pooled::default());
    for _ in 0..3 {
        let pooled = pooled.clone();
        let caller = move || call(&Callbacks::new().with(pooled).blocking());
        thread::spawn(caller).join().unwrap().unwrap();
    }
    assert_eq!(pooled.seen.lock().unwrap().len(), 12);
}

/// A task has a budget; one that blocks would never get another.
#[test]
fn a_handler_that_does_a_lot_is_not_starved() {
    struct Busy;

    #[callback_handler]
    impl Busy {
        async fn on_llm_end(&self) {
            let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
            tokio::spawn(async move {
                for number in 0..1000 {
                    sender.send(number).await.unwrap();
                }
            });
            let mut last = 0;
            while let Some(number) = receiver.recv().await {
                last = number;
            }
            assert_eq!(last, 999);
        }
    }

    everywhere(|place| {
        let busy = handler(Busy).raise_errors();
        let callbacks = Callbacks::new().with(busy).blocking();
        assert!(call(&callbacks).is_ok(), "{place}");
    });
}

/// An emission that waits for room waits for a task, which has to go on meanwhile.
#[test]
fn a_full_queue_of_an_async_handler_empties() {
    struct Drains(Log);

    #[callback_handler]
    impl Drains {
        async fn on_llm_new_token(&self, token: &str) {
            tokio::time::sleep(Duration::from_millis(1)).await;
            self.0.add(token);
        }
    }

    everywhere(|place| {
        let log = Log::new();
        let queue = Queue::bounded(1).on_full(OnFull::Wait);
        let drains = handler(Drains(log.clone())).background(queue);
        let callbacks = Callbacks::new().with(drains).blocking();
        let run = callbacks.llm_start(&MODEL, prompts).start().unwrap();
        for token in ["a", "b", "c", "d", "e"] {
            run.new_token(token).unwrap();
        }
        run.end(LlmResult::default()).unwrap();
        assert!(callbacks.flush(LONG).is_complete(), "{place}");
        assert_eq!(log.lines(), ["a", "b", "c", "d", "e"], "{place}");
    });
}

/// Handlers of one thread, emissions of another: the reply is not lost whoever is first.
#[test]
fn a_wake_from_another_thread_is_not_lost() {
    struct Elsewhere;

    #[callback_handler]
    impl Elsewhere {
        async fn on_llm_new_token(&self) {
            let (sender, receiver) = oneshot::channel();
            thread::spawn(move || sender.send(()));
            receiver.await.unwrap();
        }
    }

    let callbacks = Callbacks::new().with(Elsewhere).blocking();
    let (done, finished) = mpsc::channel();
    thread::spawn(move || {
        for _ in 0..100 {
            call(&callbacks).unwrap();
        }
        done.send(()).unwrap();
    });
    finished.recv_timeout(Duration::from_secs(60)).unwrap();
}
