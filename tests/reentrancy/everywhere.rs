//! Whatever a handler does inside a callback, and however it is called: all others hear of it alike.

use std::sync::{Arc, Mutex};

use callbacks::{Callbacks, EmitError, handler};
use callbacks_tests::{LONG, Log};
use serde_json::json;

use super::acts::{Act, Acts, ActsInAsync, ActsInSync, Mode, act};
use super::{chain, inner};

/// Acts while others listen in every way; gives what each of them saw.
struct Scene {
    mode: Mode,
    logs: [Log; 4],
    callbacks: Callbacks,
    act: Arc<Mutex<Option<Act>>>,
}

impl Scene {
    fn new(mode: Mode) -> Self {
        let logs = [(); 4].map(|()| Log::new());
        let slot: Arc<Mutex<Option<Act>>> = Arc::default();
        let nothing = act(|| async {});
        let later = slot.clone();
        let acts: Act = Arc::new(move || {
            let act = later.lock().unwrap().take();
            act.map_or_else(|| Box::pin(async {}) as _, |act| act())
        });
        let watcher = |at: usize| Acts::new(&nothing, &logs[at], false);
        let callbacks = Callbacks::new()
            .with(handler(ActsInSync(watcher(1))).inline())
            .with(ActsInAsync(watcher(2)));
        let callbacks = mode.register(&callbacks, &acts, &logs[0]);
        let callbacks = callbacks.with(ActsInSync(watcher(3)));
        Self {
            mode,
            logs,
            callbacks,
            act: slot,
        }
    }

    fn set(&self, act: Act) {
        *self.act.lock().unwrap() = Some(act);
    }

    /// All handlers saw this; if the one that acts is awaited, already.
    async fn saw(&self, expected: &[&str]) {
        self.saw_of("", expected).await;
    }

    /// They saw this, where the order is that in each of two trees.
    async fn saw_in_each_tree(&self, expected: &[&str]) {
        for tree in ["Chain", "Inner"] {
            let of = expected
                .iter()
                .copied()
                .filter(|line| line.starts_with(tree));
            self.saw_of(tree, &of.collect::<Vec<_>>()).await;
        }
    }

    async fn saw_of(&self, tree: &str, expected: &[&str]) {
        if !self.mode.is_awaited() {
            // What is emitted inside a callback comes after a flush that waits for the callback.
            while !self.callbacks.flush(LONG).await.is_complete() {}
        }
        for (at, log) in self.logs.iter().enumerate() {
            let mut lines = log.lines();
            lines.retain(|line| line.starts_with(tree));
            assert_eq!(lines, expected, "handler {at}, {:?}", self.mode);
        }
        assert!(self.callbacks.flush(LONG).await.is_complete());
    }
}

/// Each mode, on both runtimes, with a time limit for what must not deadlock.
fn in_all_modes<F: Future<Output = ()> + Send>(test: impl Fn(Mode) -> F) {
    for mode in Mode::ALL {
        for threads in [0, 2] {
            let runtime = match threads {
                0 => tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build(),
                threads => tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(threads)
                    .enable_all()
                    .build(),
            };
            let limited = async { tokio::time::timeout(LONG, test(mode)).await };
            runtime
                .unwrap()
                .block_on(limited)
                .unwrap_or_else(|_| panic!("{mode:?} hangs"));
        }
        // And without any.
        futures_executor::block_on(test(mode));
    }
}

#[test]
fn into_its_own_run() {
    in_all_modes(|mode| async move {
        let scene = Scene::new(mode);
        let run = Arc::new(chain(&scene.callbacks).await);
        let own = run.clone();
        scene.set(act(move || {
            let own = own.clone();
            async move {
                own.text("one").await.unwrap();
                own.text("two").await.unwrap();
            }
        }));
        run.text("go").await.unwrap();
        let expected = ["Chain start", "Chain go", "Chain one", "Chain two"];
        scene.saw(&expected).await;
        run.text("after").await.unwrap();
        scene.saw(&[&expected[..], &["Chain after"]].concat()).await;
    });
}

#[test]
fn into_its_parent() {
    in_all_modes(|mode| async move {
        let scene = Scene::new(mode);
        let parent = Arc::new(chain(&scene.callbacks).await);
        let child = inner(parent.callbacks()).await.unwrap();
        let around = parent.clone();
        scene.set(act(move || {
            let around = around.clone();
            async move { around.text("up").await.unwrap() }
        }));
        child.text("go").await.unwrap();
        scene
            .saw(&["Chain start", "Inner start", "Inner go", "Chain up"])
            .await;
        child.end(json!(null)).await.unwrap();
        scene
            .saw(&[
                "Chain start",
                "Inner start",
                "Inner go",
                "Chain up",
                "Inner end",
            ])
            .await;
    });
}

#[test]
fn into_another_tree_and_outside_any() {
    in_all_modes(|mode| async move {
        let scene = Scene::new(mode);
        let run = chain(&scene.callbacks).await;
        let other = Arc::new(inner(&scene.callbacks).await.unwrap());
        let there = other.clone();
        scene.set(act(move || {
            let there = there.clone();
            async move { there.text("there").await.unwrap() }
        }));
        run.text("go").await.unwrap();
        let expected = ["Chain start", "Inner start", "Chain go", "Inner there"];
        scene.saw_in_each_tree(&expected).await;
        other.text("after").await.unwrap();
        scene
            .saw_in_each_tree(&[&expected[..], &["Inner after"]].concat())
            .await;
    });
}

#[test]
fn runs_that_start_and_end_inside() {
    in_all_modes(|mode| async move {
        let scene = Scene::new(mode);
        let run = chain(&scene.callbacks).await;
        let inside = run.callbacks().clone();
        scene.set(act(move || {
            let inside = inside.clone();
            async move {
                let one = inner(&inside).await.unwrap();
                one.text("one").await.unwrap();
                one.end(json!(null)).await.unwrap();
                let dropped = inner(&inside).await.unwrap();
                dropped.text("two").await.unwrap();
                drop(dropped);
            }
        }));
        run.text("go").await.unwrap();
        scene
            .saw(&[
                "Chain start",
                "Chain go",
                "Inner start",
                "Inner one",
                "Inner end",
                "Inner start",
                "Inner two",
                "Inner error",
            ])
            .await;
    });
}

#[test]
fn its_own_run_ends() {
    in_all_modes(|mode| async move {
        let scene = Scene::new(mode);
        let run = chain(&scene.callbacks).await;
        let child = Arc::new(inner(run.callbacks()).await.unwrap());
        let guard = Mutex::new(Some(run));
        let (guard, late) = (Arc::new(guard), child.clone());
        scene.set(act(move || {
            let (guard, late) = (guard.clone(), late.clone());
            async move {
                late.text("last").await.unwrap();
                let run = guard.lock().unwrap().take().unwrap();
                run.end(json!(null)).await.unwrap();
                let closed = late.text("late").await;
                assert!(matches!(closed, Err(EmitError::RunClosed)));
                let closed = inner(late.callbacks()).await;
                assert!(matches!(closed, Err(EmitError::RunClosed)));
            }
        }));
        child.text("go").await.unwrap();
        scene
            .saw(&[
                "Chain start",
                "Inner start",
                "Inner go",
                "Inner last",
                "Inner error",
                "Chain end",
            ])
            .await;
    });
}

#[test]
fn a_flush_inside_does_not_wait() {
    in_all_modes(|mode| async move {
        let scene = Scene::new(mode);
        let run = Arc::new(chain(&scene.callbacks).await);
        let (callbacks, own) = (scene.callbacks.clone(), run.clone());
        let pending = Arc::new(Mutex::new(None));
        let reported = pending.clone();
        scene.set(act(move || {
            let (callbacks, own, reported) = (callbacks.clone(), own.clone(), reported.clone());
            async move {
                own.text("put off").await.unwrap();
                let report = callbacks.flush(LONG).await;
                let pending = report.handlers.iter().map(|handler| handler.pending);
                *reported.lock().unwrap() = Some(pending.collect::<Vec<_>>());
            }
        }));
        run.text("go").await.unwrap();
        scene
            .saw(&["Chain start", "Chain go", "Chain put off"])
            .await;
        let pending = pending.lock().unwrap().take().unwrap();
        // What was put off is pending for all four.
        assert!(
            pending.iter().all(|pending| *pending >= 1),
            "{mode:?} {pending:?}"
        );
    });
}
