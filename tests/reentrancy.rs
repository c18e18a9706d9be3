//! Rule 9: inside a callback nothing waits. What is emitted there is delivered in order once the
//! emission around it has reached all its handlers, and no handler is re-entered.

use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

use callbacks::{
    BoxFuture, Callbacks, ChainRun, EmitError, Handler, LlmRun, Queue, Run, RunKind, Serialized,
    callback_handler, events::Events, handler,
};
use callbacks_tests::{Log, prompts};
use futures_util::FutureExt;
use serde_json::json;
use tokio::task::yield_now;

static CHAIN: Serialized = Serialized::new("Chain");
static INNER: Serialized = Serialized::new("Inner");
static MODEL: Serialized = Serialized::new("Model");

const LONG: Duration = Duration::from_secs(60);

/// What a handler does when it hears `go`.
type Act = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

fn act<F: Future<Output = ()> + Send + 'static>(
    act: impl Fn() -> F + Send + Sync + 'static,
) -> Act {
    Arc::new(move || Box::pin(act()))
}

/// Acts in a sync or an async method, and sees that it is never called on top of itself. (On two
/// threads, for two run trees, it may be called at once.)
struct Acts {
    act: Act,
    log: Log,
    busy: Mutex<Vec<ThreadId>>,
    yields: bool,
}

impl Acts {
    fn new(act: &Act, log: &Log, yields: bool) -> Self {
        Self {
            act: act.clone(),
            log: log.clone(),
            busy: Mutex::default(),
            yields,
        }
    }

    fn enter(&self, event: &str, run: &Run<'_>) {
        let mut busy = self.busy.lock().unwrap();
        let here = thread::current().id();
        assert!(!busy.contains(&here), "re-entered");
        busy.push(here);
        self.log.add(format_args!("{} {event}", run.name()));
    }

    fn leave(&self) {
        let here = thread::current().id();
        self.busy.lock().unwrap().retain(|busy| *busy != here);
    }
}

struct ActsInSync(Acts);

#[callback_handler]
impl ActsInSync {
    fn on_text(&self, text: &str, run: &Run<'_>) {
        self.0.enter(text, run);
        if text == "go" {
            (self.0.act)().now_or_never().expect("nothing waits");
        }
        self.0.leave();
    }

    fn on_chain_start(&self, run: &Run<'_>) {
        self.0.enter("start", run);
        self.0.leave();
    }

    fn on_chain_end(&self, run: &Run<'_>) {
        self.0.enter("end", run);
        self.0.leave();
    }

    fn on_chain_error(&self, run: &Run<'_>) {
        self.0.enter("error", run);
        self.0.leave();
    }
}

struct ActsInExclusive(Acts);

#[callback_handler]
impl ActsInExclusive {
    fn on_text(&mut self, text: &str, run: &Run<'_>) {
        self.0.enter(text, run);
        if text == "go" {
            (self.0.act)().now_or_never().expect("nothing waits");
        }
        self.0.leave();
    }

    fn on_chain_start(&mut self, run: &Run<'_>) {
        self.0.enter("start", run);
        self.0.leave();
    }

    fn on_chain_end(&mut self, run: &Run<'_>) {
        self.0.enter("end", run);
        self.0.leave();
    }

    fn on_chain_error(&mut self, run: &Run<'_>) {
        self.0.enter("error", run);
        self.0.leave();
    }
}

struct ActsInAsync(Acts);

#[callback_handler]
impl ActsInAsync {
    async fn on_text(&self, text: &str, run: &Run<'_>) {
        if text == "go" && self.0.yields {
            yield_now().await;
        }
        self.0.enter(text, run);
        if text == "go" {
            (self.0.act)().now_or_never().expect("nothing waits");
        }
        self.0.leave();
    }

    async fn on_chain_start(&self, run: &Run<'_>) {
        self.0.enter("start", run);
        self.0.leave();
    }

    async fn on_chain_end(&self, run: &Run<'_>) {
        self.0.enter("end", run);
        self.0.leave();
    }

    async fn on_chain_error(&self, run: &Run<'_>) {
        self.0.enter("error", run);
        self.0.leave();
    }
}

/// Every way that a method is called.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Inline,
    Lane,
    Exclusive,
    ExclusiveInline,
    Async,
    AsyncLater,
    BackgroundSync,
    BackgroundAsync,
}

impl Mode {
    const ALL: [Self; 8] = [
        Self::Inline,
        Self::Lane,
        Self::Exclusive,
        Self::ExclusiveInline,
        Self::Async,
        Self::AsyncLater,
        Self::BackgroundSync,
        Self::BackgroundAsync,
    ];

    fn is_awaited(self) -> bool {
        !matches!(self, Self::BackgroundSync | Self::BackgroundAsync)
    }

    fn register(self, callbacks: &Callbacks, act: &Act, log: &Log) -> Callbacks {
        let acts = Acts::new(act, log, self == Self::AsyncLater);
        let queue = Queue::bounded(64);
        match self {
            Self::Inline => callbacks.with(handler(ActsInSync(acts)).inline()),
            Self::Lane => callbacks.with(ActsInSync(acts)),
            Self::Exclusive => callbacks.with(ActsInExclusive(acts)),
            Self::ExclusiveInline => callbacks.with(handler(ActsInExclusive(acts)).inline()),
            Self::Async | Self::AsyncLater => callbacks.with(ActsInAsync(acts)),
            Self::BackgroundSync => callbacks.with(handler(ActsInSync(acts)).background(queue)),
            Self::BackgroundAsync => callbacks.with(handler(ActsInAsync(acts)).background(queue)),
        }
    }
}

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

async fn chain(callbacks: &Callbacks) -> ChainRun {
    callbacks.chain_start(&CHAIN, json!(null)).await.unwrap()
}

async fn inner(callbacks: &Callbacks) -> Result<ChainRun, EmitError> {
    callbacks.chain_start(&INNER, json!(null)).await
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

/// The emission around it is dropped, the runtime is, and all the same nothing is lost.
#[test]
fn what_was_put_off_outlives_the_emission_around_it() {
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

/// What a deferred event's handler raises reaches nobody, and is counted.
#[tokio::test]
async fn nothing_is_raised_from_what_was_put_off() {
    struct Fails;

    #[callback_handler]
    impl Fails {
        async fn on_text(&self, text: &str) -> Result<(), String> {
            if text == "inner" {
                Err("no".to_owned())
            } else {
                Ok(())
            }
        }
    }

    fn failing() -> impl Handler<Events> {
        handler(Fails).raise_errors().named("fails")
    }

    let slot: Arc<Mutex<Option<Act>>> = Arc::default();
    let later = slot.clone();
    let acts: Act = Arc::new(move || {
        let act = later.lock().unwrap().take();
        act.map_or_else(|| Box::pin(async {}) as _, |act| act())
    });
    let acts = ActsInAsync(Acts::new(&acts, &Log::new(), false));
    let callbacks = Callbacks::new().with(acts).with(failing());
    let run = Arc::new(chain(&callbacks).await);
    let own = run.clone();
    *slot.lock().unwrap() = Some(act(move || {
        let own = own.clone();
        async move { own.text("inner").await.unwrap() }
    }));
    run.text("go").await.unwrap();
    let report = callbacks.flush(LONG).await;
    assert_eq!(report.handler("fails").unwrap().failed, 1);
    run.text("inner").await.unwrap_err();
}
