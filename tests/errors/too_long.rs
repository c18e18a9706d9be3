//! Handlers that take too long are waited for no longer.

use std::sync::{Mutex, mpsc};
use std::time::Duration;

use callbacks::{Callbacks, LlmResult, callback_handler, handler};
use callbacks_tests::{Log, Tokens, raised, start};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Stall, failures, failures_of};

#[tokio::test(start_paused = true)]
async fn an_async_method_that_takes_too_long_is_dropped() {
    failures();
    let (left, log) = (Log::new(), Log::new());
    let stall = handler(Stall(left.clone())).named("stall");
    let name = "other";
    let callbacks = Callbacks::new()
        .with(stall.timeout(Duration::from_secs(2)).raise_errors())
        .with(handler(Stall(left.clone())).timeout(Duration::ZERO))
        .with(Tokens {
            log: log.clone(),
            name,
        });
    let run = start(&callbacks).await;
    let before = Instant::now();
    let (handler, _, error) = raised(run.new_token("t").await);
    assert_eq!(before.elapsed(), Duration::from_secs(2));
    assert_eq!(
        (&*handler, &*error),
        ("stall", "the handler took longer than 2s")
    );
    assert_eq!(left.lines(), ["left", "left"]);
    assert_eq!(log.lines(), ["other t"]);
    let failures = failures_of(&run);
    assert!(
        failures
            .iter()
            .any(|line| line.ends_with("longer than 0ns")),
        "{failures:?}"
    );
    assert_eq!(failures.len(), 2);
}

/// The emission goes on; the handler does too, and what is queued behind it waits for it.
#[tokio::test]
async fn a_sync_method_that_takes_too_long_keeps_its_lane() {
    struct Stuck {
        leave: Mutex<mpsc::Receiver<()>>,
        log: Log,
    }

    #[callback_handler]
    impl Stuck {
        fn on_llm_new_token(&self, token: &str) {
            if token == "one" {
                self.leave.lock().unwrap().recv().unwrap();
            }
            self.log.add(token);
        }
    }

    let ((free, leave), log) = (mpsc::channel(), Log::new());
    let stuck = Stuck {
        leave: Mutex::new(leave),
        log: log.clone(),
    };
    let stuck = handler(stuck).timeout(Duration::from_millis(1));
    let run = start(&Callbacks::new().with(stuck.raise_errors())).await;
    let (_, _, error) = raised(run.new_token("one").await);
    assert_eq!(error, "the handler took longer than 1ms");
    let (_, _, error) = raised(run.new_token("two").await);
    assert_eq!(error, "the handler took longer than 1ms");
    assert!(log.lines().is_empty());
    free.send(()).unwrap();
    while log.lines().len() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(log.lines(), ["one", "two"]);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_that_is_not_reached_is_nothing() {
    struct Yields;

    #[callback_handler]
    impl Yields {
        async fn on_llm_new_token(&self) {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    failures();
    for timeout in [Duration::from_secs(2), Duration::MAX] {
        let yields = handler(Yields).timeout(timeout).raise_errors();
        let run = start(&Callbacks::new().with(yields)).await;
        run.new_token("t").await.unwrap();
        assert!(failures_of(&run).is_empty());
    }
}

/// What a closing waits for is bounded too.
#[tokio::test(start_paused = true)]
async fn a_terminal_event_waits_no_longer_than_the_timeout() {
    struct Hangs(Notify);

    #[callback_handler]
    impl Hangs {
        async fn on_llm_end(&self) {
            self.0.notified().await;
        }
    }

    let hangs = handler(Hangs(Notify::new())).timeout(Duration::from_secs(5));
    let run = start(&Callbacks::new().with(hangs.raise_errors())).await;
    let before = Instant::now();
    let (_, event, error) = raised(run.end(LlmResult::default()).await);
    assert_eq!(before.elapsed(), Duration::from_secs(5));
    assert_eq!(event, "on_llm_end");
    assert_eq!(error, "the handler took longer than 5s");
}

/// It spends all that its task may spend before it has to yield.
#[tokio::test]
async fn a_timeout_holds_for_a_handler_that_is_never_idle() {
    struct Greedy;

    #[callback_handler]
    impl Greedy {
        async fn on_llm_new_token(&self) {
            loop {
                tokio::task::consume_budget().await;
            }
        }
    }

    let greedy = handler(Greedy).timeout(Duration::from_millis(1));
    let run = start(&Callbacks::new().with(greedy.raise_errors())).await;
    let (_, _, error) = raised(run.new_token("t").await);
    assert_eq!(error, "the handler took longer than 1ms");
}
