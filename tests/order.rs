//! Rule 3: in which order events reach handlers.

use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;

use callbacks::{Callbacks, Run, callback_handler, handler};
use callbacks_tests::{Log, Tokens, start};
use tokio::sync::{Barrier, Notify};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_keeps_the_order() {
    let log = Log::new();
    let name = "lane";
    let callbacks = Callbacks::new().with(Tokens {
        log: log.clone(),
        name,
    });
    let run = start(&callbacks).await;
    for token in 0..500 {
        run.new_token(&token.to_string()).await.unwrap();
    }
    let expected: Vec<String> = (0..500).map(|token| format!("lane {token}")).collect();
    assert_eq!(log.lines(), expected);
}

/// Everything in a lane comes in the order of the numbers, whoever emitted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_is_in_the_order_of_seq_even_if_emissions_overlap() {
    #[derive(Default)]
    struct Numbers(Mutex<Vec<u64>>);

    #[callback_handler]
    impl Numbers {
        fn on_llm_new_token(&self, run: &Run<'_>) {
            self.0.lock().unwrap().push(run.seq());
        }
    }

    struct Inline;

    #[callback_handler]
    impl Inline {
        fn on_llm_new_token(&self) {
            thread::yield_now();
        }
    }

    let numbers = Arc::new(Numbers::default());
    let callbacks = Callbacks::new()
        .with(numbers.clone())
        .with(handler(Inline).inline());
    let run = Arc::new(start(&callbacks).await);
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let run = run.clone();
            tokio::spawn(async move {
                for _ in 0..200 {
                    run.new_token("token").await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let numbers = numbers.0.lock().unwrap();
    assert_eq!(numbers.len(), 1600);
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
}

#[tokio::test]
async fn inline_handlers_come_first_in_registration_order() {
    struct Future(Log);

    #[callback_handler]
    impl Future {
        async fn on_llm_new_token(&self) {
            self.0.add("future");
        }
    }

    for _ in 0..100 {
        let log = Log::new();
        let tokens = |name| Tokens {
            log: log.clone(),
            name,
        };
        let callbacks = Callbacks::new()
            .with(Future(log.clone()))
            .with(tokens("lane"))
            .with(handler(tokens("one")).inline())
            .with(handler(tokens("two")).inline());
        let run = start(&callbacks).await;
        run.new_token("t").await.unwrap();
        let lines = log.lines();
        assert_eq!(lines[..2], ["one t", "two t"]);
        assert_eq!(lines.len(), 4);
    }
}

/// Also where a worker is at the lane already, and would take the event at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lane_that_is_running_waits_for_the_inline_handlers() {
    struct Lane {
        log: Log,
        entered: mpsc::Sender<()>,
        leave: Mutex<mpsc::Receiver<()>>,
    }

    #[callback_handler]
    impl Lane {
        fn on_llm_new_token(&self, token: &str) {
            if token == "a" {
                self.entered.send(()).unwrap();
                self.leave.lock().unwrap().recv().unwrap();
            }
            self.log.add(format_args!("lane {token}"));
        }
    }

    struct Inline {
        log: Log,
        leave: mpsc::Sender<()>,
    }

    #[callback_handler]
    impl Inline {
        fn on_llm_new_token(&self, token: &str) {
            if token == "b" {
                self.leave.send(()).unwrap();
                while self.log.lines().last().is_none_or(|line| line != "lane a") {
                    thread::yield_now();
                }
                // time for the worker to do the wrong thing
                (0..100).for_each(|_| thread::yield_now());
            }
            self.log.add(format_args!("inline {token}"));
        }
    }

    for _ in 0..20 {
        let ((entered, inside), (leave, wait)) = (mpsc::channel(), mpsc::channel());
        let log = Log::new();
        let lane = Lane {
            log: log.clone(),
            entered,
            leave: Mutex::new(wait),
        };
        let inline = Inline {
            log: log.clone(),
            leave,
        };
        let callbacks = Callbacks::new().with(lane).with(handler(inline).inline());
        let run = Arc::new(start(&callbacks).await);
        let first = tokio::spawn({
            let run = run.clone();
            async move { run.new_token("a").await }
        });
        tokio::task::spawn_blocking(move || inside.recv())
            .await
            .unwrap()
            .unwrap();
        run.new_token("b").await.unwrap();
        first.await.unwrap().unwrap();
        assert_eq!(log.lines(), ["inline a", "lane a", "inline b", "lane b"]);
    }
}

#[tokio::test]
async fn async_methods_are_polled_once_in_registration_order_before_any_is_waited_for() {
    struct Gate {
        log: Log,
        name: u32,
        open: Arc<Notify>,
    }

    #[callback_handler]
    impl Gate {
        async fn on_llm_new_token(&self) {
            self.log.add(format_args!("{} entered", self.name));
            self.open.notified().await;
            self.log.add(format_args!("{} left", self.name));
        }
    }

    let (log, open) = (Log::new(), Arc::new(Notify::new()));
    let mut callbacks = Callbacks::new();
    for name in 0..3 {
        let (log, open) = (log.clone(), open.clone());
        callbacks = callbacks.with(Gate { log, name, open });
    }
    let run = start(&callbacks).await;
    let mut emission = Box::pin(run.new_token("token"));
    let first = emission
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(first.is_pending());
    assert_eq!(log.take(), ["0 entered", "1 entered", "2 entered"]);
    open.notify_waiters();
    emission.await.unwrap();
    assert_eq!(log.take(), ["0 left", "1 left", "2 left"]);
}

/// If one were awaited after the other, the first would wait for ever.
#[tokio::test]
async fn async_methods_run_at_the_same_time() {
    struct Meet(Arc<Barrier>);

    #[callback_handler]
    impl Meet {
        async fn on_llm_new_token(&self) {
            self.0.wait().await;
        }
    }

    for count in [8, 64] {
        let barrier = Arc::new(Barrier::new(count));
        let mut callbacks = Callbacks::new();
        for _ in 0..count {
            callbacks = callbacks.with(Meet(barrier.clone()));
        }
        start(&callbacks).await.new_token("token").await.unwrap();
    }
}

/// Sync methods of one emission run at the same time too, each on its lane.
#[tokio::test]
async fn lanes_run_at_the_same_time() {
    struct Meet(Arc<std::sync::Barrier>);

    #[callback_handler]
    impl Meet {
        fn on_llm_new_token(&self) {
            self.0.wait();
        }
    }

    let barrier = Arc::new(std::sync::Barrier::new(4));
    let mut callbacks = Callbacks::new();
    for _ in 0..4 {
        callbacks = callbacks.with(Meet(barrier.clone()));
    }
    start(&callbacks).await.new_token("token").await.unwrap();
}

/// A handler that is stuck in one run tree is called for others.
#[tokio::test]
async fn run_trees_do_not_wait_for_each_other() {
    struct Stuck {
        entered: mpsc::Sender<()>,
        leave: Mutex<mpsc::Receiver<()>>,
        log: Log,
    }

    #[callback_handler]
    impl Stuck {
        fn on_llm_new_token(&self, token: &str) {
            if token == "wait" {
                self.entered.send(()).unwrap();
                self.leave.lock().unwrap().recv().unwrap();
            }
            self.log.add(token);
        }
    }

    let ((entered, stuck), (free, leave)) = (mpsc::channel(), mpsc::channel());
    let (log, leave) = (Log::new(), Mutex::new(leave));
    let callbacks = Callbacks::new().with(Stuck {
        entered,
        leave,
        log: log.clone(),
    });
    let one = start(&callbacks).await;
    let other = start(&callbacks).await;
    let waiting = tokio::spawn(async move { one.new_token("wait").await });
    tokio::task::yield_now().await;
    stuck.recv().unwrap();
    other.new_token("go").await.unwrap();
    assert_eq!(log.lines(), ["go"]);
    free.send(()).unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(log.lines(), ["go", "wait"]);
}

/// An emission that is dropped has reached its handlers all the same.
#[tokio::test]
async fn what_is_queued_is_called_even_if_the_emission_is_dropped() {
    let (call, called) = mpsc::channel();

    struct Tell(Mutex<mpsc::Sender<String>>);

    #[callback_handler]
    impl Tell {
        fn on_llm_new_token(&self, token: &str) {
            self.0.lock().unwrap().send(token.to_owned()).unwrap();
        }
    }

    let run = start(&Callbacks::new().with(Tell(Mutex::new(call)))).await;
    let mut emission = Box::pin(run.new_token("token"));
    let polled = emission
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Pending | Poll::Ready(Ok(()))));
    drop(emission);
    assert_eq!(called.recv().unwrap(), "token");
}
