//! What is put off comes in the order of its emission, after the event that it answers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use callbacks::{
    BoxFuture, Callbacks, ChainRun, EmitError, LlmRun, Run, RunId, RunKind, callback_handler,
    handler,
};
use callbacks_tests::{LONG, Log, MODEL, prompts};
use futures_util::FutureExt;
use serde_json::json;
use tokio::sync::Notify;

use super::chain;
use super::hears::{Hears, HearsLater, Own, hears};

/// A handler that answers every event with another, up to a depth.
#[test]
fn reactions_to_reactions() {
    struct Reacts {
        log: Log,
        run: Mutex<Option<Arc<LlmRun>>>,
    }

    #[callback_handler]
    impl Reacts {
        async fn on_llm_new_token(&self, token: &str) {
            self.log.add(token);
            let depth: u32 = token.parse().unwrap();
            let run = self.run.lock().unwrap().clone();
            if let (Some(run), 1..) = (run, depth) {
                for _ in 0..2 {
                    run.new_token(&(depth - 1).to_string()).await.unwrap();
                }
            }
        }
    }

    let reacts = Arc::new(Reacts {
        log: Log::new(),
        run: Mutex::default(),
    });
    let callbacks = Callbacks::new().with(reacts.clone());
    futures_executor::block_on(async {
        let run = callbacks.llm_start(&MODEL, prompts).await.unwrap();
        let run = Arc::new(run);
        *reacts.run.lock().unwrap() = Some(run.clone());
        run.new_token("12").await.unwrap();
        while !callbacks.flush(LONG).await.is_complete() {}
    });
    let lines = reacts.log.lines();
    assert_eq!(lines.len(), (1 << 13) - 1);
    // In the order of their emission: breadth first.
    assert!(lines.is_sorted_by_key(|line| std::cmp::Reverse(line.parse::<u32>().unwrap())));
    reacts.run.lock().unwrap().take();
}

/// Many emitters in one tree, with a handler that reacts to each of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_reactions_at_once() {
    struct Reacts(Log);

    #[callback_handler]
    impl Reacts {
        async fn on_llm_new_token(&self, token: &str) {
            if let Some(callbacks) = Callbacks::current() {
                let run = callbacks.tool_start(None, token).kind(RunKind::Tool).await;
                run.unwrap().end(json!(null)).await.unwrap();
            }
        }

        fn on_tool_start(&self, input: &str) {
            self.0.add(input);
        }

        async fn on_tool_end(&self) {
            self.0.add("end");
        }
    }

    let log = Log::new();
    let root = chain(&Callbacks::new().with(Reacts(log.clone()))).await;
    let tasks = (0..4).map(|_| {
        let inside = root.callbacks().clone();
        tokio::spawn(async move {
            let model = inside.llm_start(&MODEL, prompts).await.unwrap();
            let scoped = model.scope(async {
                for _ in 0..100 {
                    model.new_token("token").await.unwrap();
                }
            });
            scoped.await;
            model.end(callbacks::LlmResult::default()).await.unwrap();
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        tokio::time::timeout(LONG, task).await.unwrap().unwrap();
    }
    assert_eq!(log.lines().len(), 800);
    root.end(json!(null)).await.unwrap();
}

/// Whoever emits while an event is still on its way to its handlers has to do what these put off,
/// but not yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_put_off_comes_after_its_event_for_every_handler() {
    let (own, entered) = (Own::default(), Arc::new(Notify::new()));
    let (open, gate) = mpsc::channel::<()>();
    let (emits, enters, gate) = (own.clone(), entered.clone(), Mutex::new(gate));
    let first = Hears(move |text: &str| {
        if text == "go" {
            emits.text("inner");
            enters.notify_one();
            gate.lock().unwrap().recv_timeout(LONG).unwrap();
        }
    });
    let logs = [(); 3].map(|()| Log::new());
    let later = logs[1].clone();
    let later = HearsLater(move |text: String| -> BoxFuture<'static, ()> {
        later.add(text);
        Box::pin(async {})
    });
    let callbacks = Callbacks::new()
        .with(handler(first).inline())
        .with(handler(hears(&logs[0])).inline())
        .with(later)
        .with(hears(&logs[2]));
    let run = own.start(&callbacks).await;
    let goes = run.clone();
    let go = tokio::spawn(async move { goes.text("go").await });
    tokio::time::timeout(LONG, entered.notified())
        .await
        .unwrap();
    let mut other = Box::pin(run.text("other"));
    assert!(other.as_mut().now_or_never().is_none());
    open.send(()).unwrap();
    let both = async { (go.await.unwrap(), other.await) };
    let (go, other) = tokio::time::timeout(LONG, both).await.unwrap();
    assert!(go.is_ok() && other.is_ok());
    for log in logs {
        assert_eq!(log.lines(), ["go", "inner", "other"]);
    }
}

/// One handler starts runs, and at the same time another one closes the run around them. The closing
/// waits for the starts, so it must not be put off before one of them.
#[tokio::test]
async fn a_closing_comes_after_the_start_it_waits_for() {
    #[derive(Default)]
    struct Balance(Mutex<HashMap<RunId, i32>>);

    #[callback_handler]
    impl Balance {
        async fn on_llm_start(&self, run: &Run<'_>) {
            *self.0.lock().unwrap().entry(run.id()).or_default() += 1;
        }

        async fn on_llm_error(&self, run: &Run<'_>) {
            let mut balance = self.0.lock().unwrap();
            *balance.get_mut(&run.id()).expect("a start before its end") -= 1;
        }
    }

    /// Both are here at once: to be woken would take longer than what they race for.
    fn meet(here: &AtomicUsize) {
        here.fetch_add(1, Ordering::SeqCst);
        while here.load(Ordering::SeqCst) < 2 {
            thread::yield_now();
        }
    }

    // Large enough that its copy takes longer than a closing.
    let prompts = Arc::new(vec!["prompt".to_owned(); 500]);
    for round in 0..100 {
        let around: Arc<Mutex<Option<ChainRun>>> = Arc::default();
        let here = Arc::new(AtomicUsize::new(0));
        let (parent, both, prompts) = (around.clone(), here.clone(), prompts.clone());
        let starts = Hears(move |_: &str| {
            let parent = parent.lock().unwrap().as_ref().unwrap().callbacks().clone();
            meet(&both);
            for _ in 0..4 {
                let run = parent.llm_start(&MODEL, &*prompts).into_future();
                match run.now_or_never().expect("nothing waits") {
                    // Nobody but the run around it closes it.
                    Ok(run) => std::mem::forget(run),
                    Err(error) => assert!(matches!(error, EmitError::RunClosed)),
                }
            }
        });
        let (parent, both) = (around.clone(), here);
        let closes = Hears(move |_: &str| {
            meet(&both);
            (0..10 * round).for_each(|_| std::hint::spin_loop());
            let parent = parent.lock().unwrap().take().unwrap();
            let end = parent.end(json!(null)).now_or_never();
            end.expect("nothing waits").unwrap();
        });
        let balance = Arc::new(Balance::default());
        let callbacks = Callbacks::new()
            .with(starts)
            .with(closes)
            .with(balance.clone());
        let root = chain(&callbacks).await;
        *around.lock().unwrap() = Some(chain(root.callbacks()).await);
        let go = tokio::time::timeout(LONG, root.text("go")).await;
        go.expect("nobody waits for what comes after").unwrap();
        let balance = balance.0.lock().unwrap();
        assert!(balance.values().all(|open| *open == 0), "{balance:?}");
    }
}
