//! Rule 11: flush is honest. It waits for everything queued before it through this value's
//! handlers, whoever emitted, and reports what was not delivered.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, mpsc};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use callbacks::events::{AsyncCallbackHandler, ByHand, CallbackHandler, LlmEnd};
use callbacks::{
    BoxError, Callbacks, FlushReport, HandlerReport, LlmResult, Queue, Run, callback_handler,
    handler,
};
use callbacks_tests::{LONG, Log, Tokens, logger, start, wakers_left};
use futures_util::FutureExt;
use tokio::sync::Semaphore;
use tokio::task::yield_now;

fn counts(report: &FlushReport, name: &str) -> [u64; 5] {
    let HandlerReport {
        delivered,
        failed,
        timed_out,
        dropped,
        pending,
        ..
    } = *report.handler(name).unwrap();
    [delivered, failed, timed_out, dropped, pending]
}

/// Waits in every event for a permit, and leaves a line.
struct Suspends {
    log: Log,
    go: Arc<Semaphore>,
}

impl Suspends {
    async fn event(&self, line: &str) {
        self.log.add(format_args!("begin {line}"));
        self.go.acquire().await.unwrap().forget();
        self.log.add(line);
    }
}

#[callback_handler]
impl Suspends {
    async fn on_llm_new_token(&self, token: &str) {
        self.event(token).await;
    }

    async fn on_llm_end(&self) {
        self.event("end").await;
    }

    async fn on_llm_error(&self) {
        self.event("error").await;
    }
}

fn suspends() -> (Suspends, Arc<Semaphore>, Log) {
    let (log, go) = (Log::new(), Arc::new(Semaphore::new(0)));
    let handler = Suspends {
        log: log.clone(),
        go: go.clone(),
    };
    (handler, go, log)
}

#[tokio::test]
async fn nothing_to_wait_for_is_reported_at_once() {
    let callbacks = Callbacks::new();
    assert_eq!(
        callbacks.flush(Duration::ZERO).await,
        FlushReport::default()
    );
    let (callbacks, _) = logger();
    let report = callbacks.flush(Duration::ZERO).now_or_never().unwrap();
    assert!(report.is_complete());
    let [only] = &report.handlers[..] else {
        panic!("{report:?}")
    };
    assert!(only.name.ends_with("Logger"), "{only:?}");
}

#[tokio::test]
async fn what_awaited_handlers_do_is_counted_where_it_is_queued_or_goes_wrong() {
    struct Fails;

    #[callback_handler]
    impl Fails {
        async fn on_llm_new_token(&self, token: &str) -> Result<(), String> {
            if token == "bad" {
                Err("no".to_owned())
            } else {
                Ok(())
            }
        }
    }

    let log = Log::new();
    let tokens = |name| Tokens {
        log: log.clone(),
        name,
    };
    let callbacks = Callbacks::new()
        .with(handler(tokens("lane")).named("lane"))
        .with(handler(tokens("inline")).inline().named("inline"))
        .with(handler(Fails).named("async"));
    let run = start(&callbacks).await;
    for token in ["good", "bad", "good"] {
        run.new_token(token).await.unwrap();
    }
    let report = callbacks.flush(LONG).await;
    assert_eq!(counts(&report, "lane"), [3, 0, 0, 0, 0]);
    assert_eq!(counts(&report, "inline"), [0, 0, 0, 0, 0]);
    assert_eq!(counts(&report, "async"), [0, 1, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_done_in_time_is_pending() {
    let (slow, go, log) = suspends();
    let queued = handler(slow).background(Queue::bounded(8)).named("slow");
    let callbacks = Callbacks::new().with(queued);
    let run = start(&callbacks).await;
    for token in ["one", "two", "three"] {
        run.new_token(token).await.unwrap();
    }
    go.add_permits(1);
    let before = tokio::time::Instant::now();
    let report = callbacks.flush(Duration::from_secs(5)).await;
    assert_eq!(before.elapsed(), Duration::from_secs(5));
    assert!(!report.is_complete());
    assert_eq!(counts(&report, "slow"), [1, 0, 0, 0, 2]);
    let report = callbacks.flush(Duration::ZERO).await;
    assert_eq!(counts(&report, "slow"), [1, 0, 0, 0, 2]);
    go.add_permits(2);
    let report = callbacks.flush(LONG).await;
    assert_eq!(counts(&report, "slow"), [3, 0, 0, 0, 0]);
    assert_eq!(log.lines().last().unwrap(), "three");
    drop(run);
}

/// Events that come after it do not hold it up.
#[tokio::test]
async fn only_what_came_before_is_waited_for() {
    let (slow, go, _) = suspends();
    let queued = handler(slow).background(Queue::bounded(8)).named("slow");
    let callbacks = Callbacks::new().with(queued);
    let (run, other) = (start(&callbacks).await, start(&callbacks).await);
    run.new_token("before").await.unwrap();
    let mut flush = Box::pin(callbacks.flush(LONG));
    assert!(flush.as_mut().now_or_never().is_none());
    other.new_token("after").await.unwrap();
    run.new_token("after").await.unwrap();
    // The semaphore is fair, and the first to ask for a permit is the one from before.
    yield_now().await;
    go.add_permits(1);
    let report = flush.await;
    assert_eq!(counts(&report, "slow"), [1, 0, 0, 0, 2]);
    go.add_permits(2);
    assert!(callbacks.flush(LONG).await.is_complete());
    drop((run, other));
}

/// Whoever emitted: through a value that another was made from, in runs, on another thread.
#[tokio::test]
async fn all_who_share_a_handler_are_waited_for() {
    let (slow, go, log) = suspends();
    let queued = handler(slow).background(Queue::bounded(8)).named("slow");
    let application = Callbacks::new().with(queued);
    let request = application.tag("request");
    let run = start(&Callbacks::new().merge(&request)).await;
    let inside = start(run.callbacks()).await;
    inside.new_token("token").await.unwrap();
    go.add_permits(1);
    let report = application.flush(LONG).await;
    assert_eq!(counts(&report, "slow"), [1, 0, 0, 0, 0]);
    assert_eq!(log.take(), ["begin token", "token"]);
    go.add_permits(2);
    drop((inside, run));
    assert!(application.flush(LONG).await.is_complete());
    assert_eq!(
        log.lines().iter().filter(|line| *line == "error").count(),
        2
    );
}

#[tokio::test]
async fn closings_that_nobody_waits_for_are_waited_for() {
    let (slow, go, log) = suspends();
    let callbacks = Callbacks::new().with(handler(slow).named("slow"));
    let run = start(&callbacks).await;
    let inside = start(run.callbacks()).await;
    let mut end = Box::pin(run.end(LlmResult::default()));
    assert!(end.as_mut().now_or_never().is_none());
    drop(end);
    let mut flush = Box::pin(callbacks.flush(LONG));
    assert!(flush.as_mut().now_or_never().is_none());
    let report = callbacks.flush(Duration::ZERO).await;
    assert_eq!(counts(&report, "slow"), [0, 0, 0, 0, 2]);
    go.add_permits(2);
    assert_eq!(counts(&flush.await, "slow"), [2, 0, 0, 0, 0]);
    assert_eq!(log.lines(), ["begin error", "error", "begin end", "end"]);
    drop(inside);
}

/// A closing that somebody waits for is on its way, too.
#[tokio::test]
async fn closings_that_somebody_waits_for_are_waited_for() {
    let (slow, go, _) = suspends();
    let callbacks = Callbacks::new().with(handler(slow).named("slow"));
    let run = start(&callbacks).await;
    let end = tokio::spawn(run.end(LlmResult::default()));
    yield_now().await;
    let mut flush = Box::pin(callbacks.flush(LONG));
    assert!(flush.as_mut().now_or_never().is_none());
    go.add_permits(1);
    assert_eq!(counts(&flush.await, "slow"), [1, 0, 0, 0, 0]);
    end.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_emission_that_is_given_up_is_counted() {
    let (slow, _, log) = suspends();
    let callbacks = Callbacks::new().with(handler(slow).named("slow"));
    let run = start(&callbacks).await;
    let mut token = Box::pin(run.new_token("token"));
    assert!(token.as_mut().now_or_never().is_none());
    drop(token);
    let report = callbacks.flush(LONG).await;
    assert_eq!(counts(&report, "slow"), [0, 0, 0, 1, 0]);
    assert_eq!(log.take(), ["begin token"]);
    let _ = run
        .error(std::io::Error::other("end"))
        .into_future()
        .now_or_never();
}

/// What came too late for a closed run was told to its emitter, and is not counted.
#[tokio::test]
async fn an_event_of_a_closed_run_is_not_counted() {
    let (slow, go, _) = suspends();
    go.add_permits(9);
    let log = Log::new();
    let name = "lane";
    let tokens = handler(Tokens { log, name }).named("lane");
    let queued = handler(slow).background(Queue::bounded(8)).named("queued");
    let callbacks = Callbacks::new().with(tokens).with(queued);
    let root = start(&callbacks).await;
    let inside = start(root.callbacks()).await;
    root.end(LlmResult::default()).await.unwrap();
    assert!(inside.new_token("late").await.is_err());
    let report = callbacks.flush(LONG).await;
    assert_eq!(counts(&report, "lane"), [0, 0, 0, 0, 0]);
    assert_eq!(counts(&report, "queued"), [2, 0, 0, 0, 0]);
}

/// A sync method that took too long has failed its emission once. What it returns is not counted
/// again, and until it returns, it is on its way.
#[tokio::test]
async fn a_sync_method_that_took_too_long_is_counted_once() {
    struct Stuck(Mutex<mpsc::Receiver<()>>);

    #[callback_handler]
    impl Stuck {
        fn on_llm_new_token(&self) -> Result<(), String> {
            self.0.lock().unwrap().recv().unwrap();
            Err("late".to_owned())
        }
    }

    let (open, gate) = mpsc::channel();
    let stuck = handler(Stuck(Mutex::new(gate))).named("stuck");
    let callbacks = Callbacks::new().with(stuck.timeout(Duration::from_millis(1)).raise_errors());
    let run = start(&callbacks).await;
    run.new_token("token").await.unwrap_err();
    let report = callbacks.flush(Duration::from_millis(1)).await;
    assert_eq!(counts(&report, "stuck"), [0, 0, 1, 0, 1]);
    open.send(()).unwrap();
    let report = callbacks.flush(LONG).await;
    assert_eq!(counts(&report, "stuck"), [0, 0, 1, 0, 0]);
}

/// A terminal event is counted before it is queued, once for each method that it is for.
#[tokio::test]
async fn the_methods_of_one_handler_are_not_counted_for_the_next() {
    struct Both;

    impl CallbackHandler for Both {
        fn on_llm_end(&self, _: &LlmEnd<'_>, _: &Run<'_>) -> Result<(), BoxError> {
            Ok(())
        }
    }

    #[async_trait]
    impl AsyncCallbackHandler for Both {
        async fn on_llm_end(&self, _: &LlmEnd<'_>, _: &Run<'_>) -> Result<(), BoxError> {
            Ok(())
        }
    }

    struct End;

    #[callback_handler]
    impl End {
        fn on_llm_end(&self) {}
    }

    let queue = Queue::bounded(8);
    let callbacks = Callbacks::new()
        .with(handler(ByHand(Both)).background(queue).named("both"))
        .with(handler(End).background(queue).named("next"));
    let run = start(&callbacks).await;
    let report = callbacks.flush(LONG).await;
    // Two methods for the start, too, and one for the question before it: those that do nothing.
    assert_eq!(counts(&report, "both"), [3, 0, 0, 0, 0]);
    run.end(LlmResult::default()).await.unwrap();
    let report = callbacks.flush(LONG).await;
    assert_eq!(counts(&report, "both"), [5, 0, 0, 0, 0]);
    assert_eq!(counts(&report, "next"), [1, 0, 0, 0, 0]);
}

/// No runtime, no timers: the timeout holds all the same.
#[test]
fn a_flush_needs_no_runtime() {
    let (slow, go, _) = suspends();
    let queued = handler(slow).background(Queue::bounded(8)).named("slow");
    let callbacks = Callbacks::new().with(queued);
    futures_executor::block_on(async {
        let run = start(&callbacks).await;
        run.new_token("token").await.unwrap();
        let report = callbacks.flush(Duration::from_millis(1)).await;
        assert_eq!(counts(&report, "slow"), [0, 0, 0, 0, 1]);
        go.add_permits(1);
        let report = callbacks.flush(LONG).await;
        assert_eq!(counts(&report, "slow"), [1, 0, 0, 0, 0]);
        drop(run);
    });
}

/// Where there is no runtime, handlers have one of our own. One that blocks it stops all others
/// there, but not the clock.
#[test]
fn a_handler_that_blocks_its_runtime_does_not_stop_a_flush() {
    struct Blocks {
        entered: mpsc::Sender<()>,
        gate: Mutex<mpsc::Receiver<()>>,
    }

    #[callback_handler]
    impl Blocks {
        async fn on_llm_new_token(&self) {
            self.entered.send(()).unwrap();
            // It blocks for ever if the flush waits for it.
            self.gate.lock().unwrap().recv_timeout(LONG).unwrap();
        }
    }

    let ((entered, is_entered), (open, gate)) = (mpsc::channel(), mpsc::channel());
    let gate = Mutex::new(gate);
    let blocks = handler(Blocks { entered, gate }).background(Queue::bounded(8));
    let callbacks = Callbacks::new().with(blocks.named("blocks"));
    futures_executor::block_on(async {
        let run = start(&callbacks).await;
        run.new_token("token").await.unwrap();
        is_entered.recv_timeout(LONG).unwrap();
        let report = callbacks.flush(Duration::from_millis(1)).await;
        assert_eq!(counts(&report, "blocks"), [0, 0, 0, 0, 1]);
        open.send(()).unwrap();
        let report = callbacks.flush(LONG).await;
        assert_eq!(counts(&report, "blocks"), [1, 0, 0, 0, 0]);
        drop(run);
    });
}

/// Many flushes at once, of many emitters.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flushes_do_not_miss_each_other() {
    let log = Log::new();
    let name = "order";
    let queued = handler(Tokens {
        log: log.clone(),
        name,
    })
    .background(Queue::bounded(4));
    let callbacks = Callbacks::new().with(queued.named("order"));
    let tasks = (0..8).map(|task: u64| {
        let callbacks = callbacks.clone();
        tokio::spawn(async move {
            let run = start(&callbacks).await;
            for count in 1..=50u64 {
                run.new_token("token").await.unwrap();
                let report = callbacks.flush(LONG).await;
                let [delivered, _, _, dropped, _] = counts(&report, "order");
                assert!(delivered >= count && dropped == 0, "{task}: {report:?}");
            }
            run.end(LlmResult::default()).await.unwrap();
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        tokio::time::timeout(LONG, task).await.unwrap().unwrap();
    }
    assert_eq!(log.lines().len(), 400);
}

/// A flush that is dropped leaves nothing behind that another would wait for.
#[tokio::test]
async fn a_flush_may_be_given_up() {
    let (slow, go, _) = suspends();
    let queued = handler(slow).background(Queue::bounded(8)).named("slow");
    let callbacks = Callbacks::new().with(queued);
    let run = start(&callbacks).await;
    run.new_token("token").await.unwrap();
    for _ in 0..3 {
        let mut flush = Box::pin(callbacks.flush(LONG));
        poll_fn(|cx| {
            assert!(flush.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
    }
    go.add_permits(1);
    let report = callbacks.flush(LONG).await;
    assert_eq!(counts(&report, "slow"), [1, 0, 0, 0, 0]);
    drop(run);
}

#[tokio::test]
async fn a_flush_that_is_given_up_leaves_no_waker_behind() {
    let (slow, go, _) = suspends();
    let queued = handler(slow).background(Queue::bounded(8)).named("slow");
    let callbacks = Callbacks::new().with(queued);
    let run = start(&callbacks).await;
    run.new_token("token").await.unwrap();
    assert_eq!(wakers_left(100, || callbacks.flush(LONG)), 0);
    go.add_permits(1);
    let report = callbacks.flush(LONG).await;
    assert_eq!(counts(&report, "slow"), [1, 0, 0, 0, 0]);
    drop(run);
}
