//! Rule 8: nothing is global. What is done leaves nothing behind, and runs never see the handlers of
//! others.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Waker};
use std::thread;

use callbacks::{Callbacks, callback_events, callback_handler};
use callbacks_tests::{Log, Tokens, start};

/// Requests that share an application's handlers, in runs that overlap.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_never_see_the_handlers_of_others() {
    let shared = Log::new();
    let application = Callbacks::new().with(Tokens {
        log: shared.clone(),
        name: "shared",
    });
    let requests = (0..8).map(|request| {
        let log = Log::new();
        let tokens = Tokens {
            log: log.clone(),
            name: "own",
        };
        let callbacks = application.with(tokens);
        let emits = tokio::spawn(async move {
            let run = start(&callbacks).await;
            for _ in 0..20 {
                run.new_token(&request.to_string()).await.unwrap();
            }
        });
        (request, log, emits)
    });
    for (request, log, emits) in requests.collect::<Vec<_>>() {
        emits.await.unwrap();
        assert_eq!(log.lines(), vec![format!("own {request}"); 20]);
    }
    assert_eq!(shared.lines().len(), 160);
}

/// Counts how many of it there are, and takes its time to go.
#[derive(Debug)]
struct Heavy(Arc<AtomicUsize>);

impl Heavy {
    fn new(alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::SeqCst);
        Self(alive.clone())
    }
}

impl Clone for Heavy {
    fn clone(&self) -> Self {
        Self::new(&self.0)
    }
}

impl Drop for Heavy {
    fn drop(&mut self) {
        (0..50).for_each(|_| thread::yield_now());
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[callback_events]
mod gym {
    pub(super) struct Lifted<'a> {
        pub(super) weight: &'a super::Heavy,
    }
}

/// When an emission has returned, no worker holds on to its handler or its event any more.
#[tokio::test]
async fn what_was_awaited_is_let_go() {
    struct Lifter {
        _own: Heavy,
    }

    #[callback_handler(events = gym)]
    impl Lifter {
        fn on_lifted(&self) {}
    }

    let alive = Arc::new(AtomicUsize::new(0));
    let weight = Heavy::new(&alive);
    for _ in 0..20 {
        let lifter = Lifter {
            _own: Heavy::new(&alive),
        };
        let callbacks = Callbacks::new().with(lifter);
        let event = gym::Lifted { weight: &weight };
        callbacks.emit(event).await.unwrap();
        drop(callbacks);
        assert_eq!(alive.load(Ordering::SeqCst), 1);
    }
}

/// A handler can be dropped by a worker, with the last event that it is called for.
#[tokio::test]
async fn a_handler_that_panics_when_dropped_on_a_lane_takes_nothing_with_it() {
    struct Bomb(mpsc::Receiver<()>);

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }

    struct Slow(Mutex<Bomb>, mpsc::Sender<()>);

    #[callback_handler]
    impl Slow {
        fn on_llm_new_token(&self) {
            self.1.send(()).unwrap();
            let _ = self.0.lock().unwrap().0.recv();
        }
    }

    // as often as there are workers at most
    for _ in 0..64 {
        let ((go, wait), (entered, inside)) = (mpsc::channel(), mpsc::channel());
        let callbacks = Callbacks::new().with(Slow(Mutex::new(Bomb(wait)), entered));
        let run = start(&callbacks).await;
        let mut emission = Box::pin(run.new_token("token"));
        let polled = emission
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        inside.recv().unwrap();
        drop(emission);
        drop((run, callbacks));
        go.send(()).unwrap();
    }

    let log = Log::new();
    let name = "next";
    let callbacks = Callbacks::new().with(Tokens {
        log: log.clone(),
        name,
    });
    start(&callbacks).await.new_token("t").await.unwrap();
    assert_eq!(log.lines(), ["next t"]);
}
