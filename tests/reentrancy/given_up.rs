//! Whoever drives what is put off may stop: it goes on, and nobody is forgotten.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Wake, Waker};
use std::thread;

use callbacks::{BoxFuture, Callbacks, callback_handler, handler};
use callbacks_tests::{LONG, Log, wakers_left};
use futures_util::{FutureExt, poll};
use serde_json::json;
use tokio::task::yield_now;

use super::acts::{Act, Acts, ActsInAsync, act};
use super::hears::{Hears, HearsLater, Own, answers};
use super::{chain, inner};

/// Acts in its first text, and stays in it.
struct Stays(Mutex<Option<Act>>);

#[callback_handler]
impl Stays {
    async fn on_text(&self) {
        let act = self.0.lock().unwrap().take();
        if let Some(act) = act {
            act().await;
            std::future::pending::<()>().await;
        }
    }
}

/// The emission around it is dropped, the runtime is, and all the same nothing is lost.
#[test]
fn what_was_put_off_outlives_the_emission_around_it() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let (log, stays) = (Log::new(), Arc::new(Stays(Mutex::default())));
    let nothing = act(|| async {});
    let watcher = handler(ActsInAsync(Acts::new(&nothing, &log, false)));
    let callbacks = Callbacks::new().with(stays.clone()).with(watcher);
    runtime.block_on(async {
        let run = Arc::new(chain(&callbacks).await);
        let own = run.clone();
        *stays.0.lock().unwrap() = Some(act(move || {
            let own = own.clone();
            async move { own.text("inner").await.unwrap() }
        }));
        let mut go = Box::pin(run.text("go"));
        assert!(go.as_mut().now_or_never().is_none());
    });
    drop(runtime);
    assert!(futures_executor::block_on(callbacks.flush(LONG)).is_complete());
    assert_eq!(
        log.lines(),
        ["Chain start", "Chain go", "Chain inner", "Chain error"]
    );
}

/// Whoever emits next waits for what was put off, even if the emission around it does not go on.
#[tokio::test]
async fn what_comes_after_comes_after() {
    let (log, stays) = (Log::new(), Arc::new(Stays(Mutex::default())));
    let nothing = act(|| async {});
    let watcher = ActsInAsync(Acts::new(&nothing, &log, false));
    let callbacks = Callbacks::new().with(stays.clone()).with(watcher);
    let run = Arc::new(chain(&callbacks).await);
    let own = run.clone();
    *stays.0.lock().unwrap() = Some(act(move || {
        let own = own.clone();
        async move { own.text("inner").await.unwrap() }
    }));
    let mut go = Box::pin(run.text("go"));
    assert!(go.as_mut().now_or_never().is_none());
    run.text("after").await.unwrap();
    let child = inner(run.callbacks()).await.unwrap();
    child.end(json!(null)).await.unwrap();
    let expected = [
        "Chain start",
        "Chain go",
        "Chain inner",
        "Chain after",
        "Inner start",
        "Inner end",
    ];
    assert_eq!(log.lines(), expected);
    drop(go);
}

/// Two emissions that are given up together. The first one's answer was driven to its end long ago,
/// by somebody else, and must not be taken for the one that has to be handed on.
#[tokio::test]
async fn an_emission_that_is_late_to_go_does_not_keep_back_what_another_put_off() {
    let log = Log::new();
    let (answers, own, go) = answers(&log);
    let callbacks = Callbacks::new().with(answers);
    let run = own.start(&callbacks).await;
    let mut one = Box::pin(run.text("go 1"));
    assert!(one.as_mut().now_or_never().is_none());
    go.add_permits(1);
    run.text("other").await.unwrap();
    let mut two = Box::pin(run.text("go 2"));
    assert!(two.as_mut().now_or_never().is_none());
    drop(one);
    drop(two);
    go.add_permits(1);
    assert!(callbacks.flush(LONG).await.is_complete());
    assert_eq!(log.lines(), ["go 1", "in 1", "other", "go 2", "in 2"]);
}

#[tokio::test]
async fn an_emission_that_is_given_up_leaves_no_waker_behind() {
    let log = Log::new();
    let (answers, own, go) = answers(&log);
    let callbacks = Callbacks::new().with(answers);
    let run = own.start(&callbacks).await;
    let mut one = Box::pin(run.text("go"));
    assert!(one.as_mut().now_or_never().is_none());
    assert_eq!(wakers_left(100, || run.text("other")), 0);
    go.add_permits(1);
    one.await.unwrap();
    assert_eq!(log.lines(), ["go", "in"]);
}

/// An executor may poll where it is woken, and be woken where a handler emits.
#[tokio::test]
async fn a_waker_may_emit_where_it_is_woken() {
    struct Emits {
        own: Own,
        armed: AtomicBool,
    }

    impl Wake for Emits {
        fn wake(self: Arc<Self>) {
            if self.armed.swap(false, Ordering::SeqCst) {
                self.own.text("woken");
            }
        }
    }

    let log = Log::new();
    let (answers, own, go) = answers(&log);
    let callbacks = Callbacks::new().with(answers);
    let run = own.start(&callbacks).await;
    let emits = Arc::new(Emits {
        own: own.clone(),
        armed: AtomicBool::new(false),
    });
    let waker = Waker::from(emits.clone());
    let mut one = Box::pin(run.text("go"));
    let polled = one.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());

    let (armed, twice) = (emits.clone(), own.clone());
    let twice = Hears(move |_: &str| {
        twice.text("once");
        armed.armed.store(true, Ordering::SeqCst);
        twice.text("twice");
    });
    let other = Callbacks::new().with(handler(twice).inline().raise_errors());
    let other = chain(&other).await;
    let mut both = Box::pin(other.text("both"));
    let emitted = poll!(both.as_mut());
    assert!(emitted.is_pending(), "{emitted:?}");
    assert!(!emits.armed.load(Ordering::SeqCst), "nobody was woken");
    go.add_permits(1);
    both.await.unwrap();
    one.await.unwrap();
    assert!(callbacks.flush(LONG).await.is_complete());
    assert_eq!(log.lines(), ["go", "in", "once", "twice", "woken"]);
}

/// Whoever drives what is put off may be woken alone, and then stop waiting.
#[tokio::test(start_paused = true)]
async fn a_wake_is_not_lost_with_whoever_drives_at_the_moment() {
    let (own, polls) = (Own::default(), Arc::new(AtomicUsize::new(0)));
    let ((enter, entered), (open, gate)) = (mpsc::channel(), mpsc::channel::<()>());
    let (emits, count) = (own.clone(), polls.clone());
    let gate = Arc::new(Mutex::new(gate));
    let slow = HearsLater(move |text: String| -> BoxFuture<'static, ()> {
        match &*text {
            "go" => emits.text("in"),
            "in" => {
                let (count, enter, gate) = (count.clone(), enter.clone(), gate.clone());
                // Waits until it is polled on the other thread, is woken in that very poll, and is
                // done in the next one.
                return Box::pin(std::future::poll_fn(move |cx| {
                    if count.load(Ordering::SeqCst) == 1 {
                        return std::task::Poll::Ready(());
                    }
                    if thread::current().name() == Some("other") {
                        count.store(1, Ordering::SeqCst);
                        cx.waker().wake_by_ref();
                        enter.send(()).unwrap();
                        gate.lock().unwrap().recv_timeout(LONG).unwrap();
                    }
                    std::task::Poll::Pending
                }));
            }
            _ => {}
        }
        Box::pin(async {})
    });
    let callbacks = Callbacks::new().with(slow);
    let run = own.start(&callbacks).await;
    // Handed on to this runtime, where it waits.
    assert!(run.text("go").now_or_never().is_none());
    for _ in 0..10 {
        yield_now().await;
    }
    // Somebody else drives it, and gives up.
    let other = run.clone();
    let other = thread::Builder::new()
        .name("other".to_owned())
        .spawn(move || assert!(other.text("other").now_or_never().is_none()))
        .unwrap();
    entered.recv_timeout(LONG).unwrap();
    for _ in 0..100 {
        yield_now().await;
    }
    open.send(()).unwrap();
    other.join().unwrap();
    assert!(callbacks.flush(LONG).await.is_complete());
}
