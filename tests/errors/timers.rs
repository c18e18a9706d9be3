//! A timeout needs neither a runtime nor its timers.

use std::cell::Cell;
use std::panic;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use callbacks::{Callbacks, callback_handler, handler};
use callbacks_tests::{CHAIN, Log, raised, start};
use serde_json::Value;
use tokio::sync::Notify;

use super::Stall;

#[test]
fn a_timeout_needs_no_runtime() {
    let stall = handler(Stall(Log::new())).timeout(Duration::from_millis(1));
    let callbacks = Callbacks::new().with(stall.raise_errors());
    let error = futures_executor::block_on(async {
        let run = start(&callbacks).await;
        raised(run.new_token("t").await).2
    });
    assert_eq!(error, "the handler took longer than 1ms");
}

/// The runtime goes down while a handler waits, with its timer; both go on elsewhere.
#[test]
fn a_timer_outlives_its_runtime() {
    struct Waits {
        open: Arc<Notify>,
        log: Log,
    }

    #[callback_handler]
    impl Waits {
        async fn on_chain_start(&self) {
            self.log.add("start");
        }

        async fn on_chain_error(&self) {
            self.log.add("entered");
            self.open.notified().await;
            self.log.add("left");
        }
    }

    let (open, log) = (Arc::new(Notify::new()), Log::new());
    let waits = Waits {
        open: open.clone(),
        log: log.clone(),
    };
    let waits = Arc::new(waits);
    let gone = Arc::downgrade(&waits);
    let waits = handler(waits).timeout(Duration::from_secs(60));
    let callbacks = Callbacks::new().with(waits);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    runtime.block_on(async {
        drop(callbacks.chain_start(&CHAIN, Value::Null).await.unwrap());
        while log.lines().len() < 2 {
            tokio::task::yield_now().await;
        }
    });
    drop((runtime, callbacks));
    open.notify_one();
    while gone.strong_count() > 0 {
        std::thread::yield_now();
    }
    assert_eq!(log.lines(), ["start", "entered", "left"]);
}

#[test]
fn a_timeout_needs_no_timers() {
    struct Stuck(Mutex<mpsc::Receiver<()>>);

    #[callback_handler]
    impl Stuck {
        fn on_llm_new_token(&self) {
            self.0.lock().unwrap().recv().unwrap();
        }
    }

    let (free, stuck) = mpsc::channel();
    let stuck = handler(Stuck(Mutex::new(stuck))).timeout(Duration::from_millis(1));
    let callbacks = Callbacks::new().with(stuck.raise_errors());
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let error = runtime.unwrap().block_on(async {
        let run = start(&callbacks).await;
        raised(run.new_token("t").await).2
    });
    assert_eq!(error, "the handler took longer than 1ms");
    free.send(()).unwrap();
}

/// Tokio tells that there are no timers by a panic alone, of which a hook hears. It does once.
#[test]
fn that_there_are_no_timers_is_found_out_once() {
    thread_local! {
        static PANICS: Cell<usize> = const { Cell::new(0) };
    }

    struct Stuck;

    #[callback_handler]
    impl Stuck {
        async fn on_llm_new_token(&self) {
            std::future::pending::<()>().await;
        }
    }

    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        PANICS.set(PANICS.get() + 1);
        before(info);
    }));
    let stuck = handler(Stuck).timeout(Duration::from_millis(1));
    let callbacks = Callbacks::new().with(stuck.raise_errors());
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(async {
        let run = start(&callbacks).await;
        for _ in 0..3 {
            let error = raised(run.new_token("t").await).2;
            assert_eq!(error, "the handler took longer than 1ms");
        }
    });
    assert_eq!(PANICS.get(), 1);
}
