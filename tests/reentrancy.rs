//! Rule 9: inside a callback nothing waits. What is emitted there is delivered in order once the
//! emission around it has reached all its handlers, and no handler is re-entered.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::task::{Context, Wake, Waker};
use std::thread::{self, ThreadId};
use std::time::Duration;

use callbacks::{
    BoxFuture, Callbacks, ChainRun, EmitError, Handler, LlmRun, Queue, Run, RunId, RunKind,
    Serialized, callback_handler, events::Events, handler,
};
use callbacks_tests::{Log, prompts, wakers_left};
use futures_util::{FutureExt, poll};
use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, Semaphore};
use tokio::task::{JoinSet, yield_now};

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

/// Hears texts, in a sync method.
struct Hears<F>(F);

#[callback_handler]
impl<F: Fn(&str) + Send + Sync> Hears<F> {
    fn on_text(&self, text: &str) {
        (self.0)(text);
    }
}

/// Hears texts, in an async method.
struct HearsLater<F>(F);

#[callback_handler]
impl<F: Fn(String) -> BoxFuture<'static, ()> + Send + Sync> HearsLater<F> {
    async fn on_text(&self, text: &str) {
        (self.0)(text.to_owned()).await;
    }
}

fn hears(log: &Log) -> Hears<impl Fn(&str) + Send + Sync + 'static> {
    let log = log.clone();
    Hears(move |text: &str| log.add(text))
}

/// The run that a handler emits into, which has to be registered first.
#[derive(Clone, Default)]
struct Own(Arc<OnceLock<Arc<ChainRun>>>);

impl Own {
    async fn start(&self, callbacks: &Callbacks) -> Arc<ChainRun> {
        let run = chain(callbacks).await;
        self.0.get_or_init(|| Arc::new(run)).clone()
    }

    fn text(&self, text: &str) {
        let text = self.0.get().unwrap().text(text);
        text.now_or_never().expect("nothing waits").unwrap();
    }
}

/// Answers `go ..` with `in ..`, for which it waits until it is let; and what lets it.
fn answers(log: &Log) -> (impl Handler<Events> + use<>, Own, Arc<Semaphore>) {
    let (own, go) = (Own::default(), Arc::new(Semaphore::new(0)));
    let (log, emits, let_go) = (log.clone(), own.clone(), go.clone());
    let answers = HearsLater(move |text: String| -> BoxFuture<'static, ()> {
        let (log, emits, let_go) = (log.clone(), emits.clone(), let_go.clone());
        Box::pin(async move {
            if let Some(rest) = text.strip_prefix("go") {
                emits.text(&format!("in{rest}"));
            }
            if text.starts_with("in") {
                let_go.acquire().await.unwrap().forget();
            }
            log.add(text);
        })
    });
    (answers, own, go)
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

/// Nobody waits for the method, so nobody may wait with what it put off until the method is done.
#[tokio::test]
async fn what_is_put_off_in_the_background_does_not_wait_for_the_method() {
    let (own, arrived) = (Own::default(), Arc::new(Notify::new()));
    let (emits, tells) = (own.clone(), arrived.clone());
    let stays = HearsLater(move |text: String| -> BoxFuture<'static, ()> {
        if text == "inner" {
            return Box::pin(async {});
        }
        emits.text("inner");
        Box::pin(std::future::pending())
    });
    let hears = Hears(move |text: &str| {
        if text == "inner" {
            tells.notify_one();
        }
    });
    let callbacks = Callbacks::new()
        .with(handler(stays).background(Queue::bounded(8)))
        .with(hears);
    let run = own.start(&callbacks).await;
    run.text("go").await.unwrap();
    tokio::time::timeout(LONG, arrived.notified())
        .await
        .unwrap();
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

/// Handlers that answer their own answers, without ever waiting for anything.
#[tokio::test]
async fn reactions_without_end_let_others_have_their_turn() {
    /// For the test to end, even if they do not.
    const END: usize = 20_000;

    let (own, stop) = (Own::default(), Arc::new(AtomicBool::new(false)));
    let heard = Arc::new(AtomicUsize::new(0));
    let (emits, stopped, count) = (own.clone(), stop.clone(), heard.clone());
    let reacts = Hears(move |_: &str| {
        let count = count.fetch_add(1, Ordering::SeqCst);
        if count < END && !stopped.load(Ordering::SeqCst) {
            emits.text("again");
        }
    });
    let callbacks = Callbacks::new().with(handler(reacts).inline());
    let run = own.start(&callbacks).await;
    let other = tokio::spawn(async move { stop.store(true, Ordering::SeqCst) });
    run.text("go").await.unwrap();
    other.await.unwrap();
    while !callbacks.flush(LONG).await.is_complete() {}
    let heard = heard.load(Ordering::SeqCst);
    assert!((2..END).contains(&heard), "{heard}");
}

/// There is nobody to raise the error to, but who saw the start sees the end.
#[tokio::test]
async fn a_start_that_was_put_off_and_fails_closes_its_run() {
    struct Budget(Log);

    #[callback_handler]
    impl Budget {
        async fn on_chain_start(&self, run: &Run<'_>) -> Result<(), String> {
            self.0.add(format_args!("{} start", run.name()));
            match run.name() {
                "Inner" => Err("no".to_owned()),
                _ => Ok(()),
            }
        }

        async fn on_chain_error(&self, run: &Run<'_>) {
            self.0.add(format_args!("{} error", run.name()));
        }
    }

    let (own, log) = (Own::default(), Log::new());
    let started: Arc<Mutex<Option<ChainRun>>> = Arc::default();
    let (around, starts) = (own.clone(), started.clone());
    let starts = Hears(move |_: &str| {
        let run = inner(around.0.get().unwrap().callbacks());
        let run = run.now_or_never().expect("nothing waits").unwrap();
        *starts.lock().unwrap() = Some(run);
    });
    let budget = handler(Budget(log.clone())).raise_errors();
    let callbacks = Callbacks::new().with(starts).with(budget);
    let run = own.start(&callbacks).await;
    run.text("go").await.unwrap();
    let closed = started.lock().unwrap().take().unwrap();
    assert!(matches!(closed.text("x").await, Err(EmitError::RunClosed)));
    assert!(callbacks.flush(LONG).await.is_complete());
    assert_eq!(log.lines(), ["Chain start", "Inner start", "Inner error"]);
}

/// What waits for no room must not wait for what does.
#[tokio::test]
async fn starts_and_ends_do_not_wait_for_what_is_put_off_behind_a_full_queue() {
    let (own, put_off) = (Own::default(), Arc::new(Notify::new()));
    let (emits, done) = (own.clone(), put_off.clone());
    let reacts = HearsLater(move |text: String| -> BoxFuture<'static, ()> {
        if text == "go" {
            emits.text("one");
            emits.text("two");
            done.notify_one();
        }
        Box::pin(async {})
    });
    let (callbacks, _records) = Callbacks::new()
        .with(handler(reacts).background(Queue::bounded(8)))
        .record(Queue::bounded(1));
    let run = own.start(&callbacks).await;
    let child = inner(run.callbacks()).await.unwrap();
    // The one place in the queue is taken by this, for nobody reads.
    run.text("go").await.unwrap();
    let ends_and_starts = async {
        put_off.notified().await;
        child.end(json!(null)).await.unwrap();
        inner(run.callbacks()).await.unwrap()
    };
    let started = tokio::time::timeout(LONG, ends_and_starts).await;
    started.unwrap().end(json!(null)).await.unwrap();
}

/// Each value has an order of its own for what is emitted outside any run.
#[tokio::test]
async fn outside_any_run_what_is_put_off_holds_up_its_own_value_alone() {
    #[derive(Default)]
    struct Slow {
        callbacks: OnceLock<Callbacks>,
        entered: Notify,
    }

    #[callback_handler]
    impl Slow {
        async fn on_custom_event(&self, name: &str) {
            if name == "inner" {
                self.entered.notify_one();
                std::future::pending::<()>().await;
            }
            let callbacks = self.callbacks.get().unwrap();
            callbacks.custom_event("inner", json!(null)).await.unwrap();
        }
    }

    struct Quick(Log);

    #[callback_handler]
    impl Quick {
        async fn on_custom_event(&self, name: &str) {
            self.0.add(name);
        }
    }

    let (log, slow) = (Log::new(), Arc::new(Slow::default()));
    let application = Callbacks::new().with(Quick(log.clone()));
    let callbacks = application.with(slow.clone());
    slow.callbacks.set(callbacks.clone()).unwrap();
    let mut go = Box::pin(callbacks.custom_event("go", json!(null)));
    assert!(go.as_mut().now_or_never().is_none());
    let emitted = async {
        slow.entered.notified().await;
        application.custom_event("other", json!(null)).await
    };
    let emitted = tokio::time::timeout(LONG, emitted).await;
    emitted.expect("the slow one is another value's").unwrap();
    assert_eq!(log.lines(), ["go", "inner", "other"]);
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

/// An event and its number.
type Numbered = (&'static str, u64);

/// The events of each run, in the order of the calls.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<HashMap<RunId, Vec<Numbered>>>>);

impl Seen {
    fn add(&self, run: &Run<'_>, event: &'static str) {
        let mut runs = self.0.lock().unwrap();
        runs.entry(run.id()).or_default().push((event, run.seq()));
    }

    /// Each run has one start and one end, and by their numbers, all else is in between. The calls
    /// begin with the start; if they are `queued` they are in the order of the numbers, otherwise an
    /// emission that overlaps with the closing may be late. Gives the number of runs.
    fn check(&self, queued: bool) -> usize {
        let runs = self.0.lock().unwrap();
        for events in runs.values() {
            let mut sorted = events.clone();
            sorted.sort_by_key(|(_, seq)| *seq);
            let names: Vec<_> = sorted.iter().map(|(event, _)| *event).collect();
            let inside = names.len().saturating_sub(2);
            let expected = [&["start"], &vec!["text"; inside][..], &["end"]].concat();
            assert_eq!(names, expected);
            assert_eq!(events[0].0, "start", "{events:?}");
            assert!(!queued || *events == sorted, "{events:?}");
        }
        runs.len()
    }
}

struct SeesInSync(Seen);

#[callback_handler]
impl SeesInSync {
    fn on_chain_start(&self, run: &Run<'_>) {
        self.0.add(run, "start");
    }

    fn on_text(&self, run: &Run<'_>) {
        self.0.add(run, "text");
    }

    fn on_chain_end(&self, run: &Run<'_>) {
        self.0.add(run, "end");
    }

    fn on_chain_error(&self, run: &Run<'_>) {
        self.0.add(run, "end");
    }
}

struct SeesInAsync(Seen);

#[callback_handler]
impl SeesInAsync {
    async fn on_chain_start(&self, run: &Run<'_>) {
        self.0.add(run, "start");
        yield_now().await;
    }

    async fn on_text(&self, run: &Run<'_>) {
        self.0.add(run, "text");
        yield_now().await;
    }

    async fn on_chain_end(&self, run: &Run<'_>) {
        self.0.add(run, "end");
        yield_now().await;
    }

    async fn on_chain_error(&self, run: &Run<'_>) {
        self.0.add(run, "end");
        yield_now().await;
    }
}

fn unless_closed(emitted: Result<(), EmitError>) {
    match emitted {
        Ok(()) | Err(EmitError::RunClosed) => {}
        Err(error) => panic!("{error}"),
    }
}

/// Closes a run in one of several ways.
async fn close(run: ChainRun, how: u64) {
    match how {
        0 => drop(run),
        1 => drop(run.end(json!(null)).now_or_never()),
        2 => {
            unless_closed(run.text("all").await);
            unless_closed(run.end(json!(null)).await);
        }
        3 => {
            let mut given_up = Box::pin(run.text("some"));
            let _ = poll!(&mut given_up);
            drop(given_up);
            unless_closed(run.end(json!(null)).await);
        }
        _ => {
            let child = inner(run.callbacks()).await;
            unless_closed(run.end(json!(null)).await);
            if let Ok(child) = child {
                unless_closed(child.end(json!(null)).await);
            }
        }
    }
}

async fn close_all(mut runs: UnboundedReceiver<ChainRun>, mut seed: u64) {
    let mut tasks = JoinSet::new();
    while let Some(run) = runs.recv().await {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        tasks.spawn(close(run, (seed >> 33) % 5));
    }
    while let Some(closed) = tasks.join_next().await {
        closed.unwrap();
    }
}

/// Starts two runs, one in the other, for somebody else to close.
fn start_two(slot: &Mutex<Option<(Callbacks, UnboundedSender<ChainRun>)>>) {
    let Some((callbacks, to)) = slot.lock().unwrap().clone() else {
        return;
    };
    let start = |callbacks: &Callbacks| inner(callbacks).now_or_never().expect("nothing waits");
    let outer = start(&callbacks).unwrap();
    // It may be closed already, as soon as it is sent.
    let inside = outer.callbacks().clone();
    to.send(outer).unwrap();
    if let Ok(innermost) = start(&inside) {
        to.send(innermost).unwrap();
    }
}

async fn start_in_callbacks_and_close_elsewhere(mode: Mode, seed: u64) {
    let all: [Seen; 5] = Default::default();
    let [inline, lane, awaited, sync, background] = all.clone();
    let queue = Queue::bounded(4);
    let callbacks = Callbacks::new()
        .with(handler(SeesInSync(inline)).inline())
        .with(SeesInSync(lane))
        .with(SeesInAsync(awaited))
        .with(handler(SeesInSync(sync)).background(queue))
        .with(handler(SeesInAsync(background)).background(queue));
    let slot: Arc<Mutex<Option<_>>> = Arc::default();
    let there = slot.clone();
    let starts = act(move || {
        start_two(&there);
        async {}
    });
    let callbacks = mode.register(&callbacks, &starts, &Log::new());
    let root = chain(&callbacks).await;
    let (to, runs) = unbounded_channel();
    *slot.lock().unwrap() = Some((root.callbacks().clone(), to));
    let closing = tokio::spawn(close_all(runs, seed));
    for count in 0..20 {
        let mut go = Box::pin(root.text("go"));
        if (count + seed).is_multiple_of(3) {
            let _ = poll!(&mut go);
        } else {
            go.await.unwrap();
        }
    }
    while !callbacks.flush(LONG).await.is_complete() {}
    slot.lock().unwrap().take();
    // The others may not all be closed yet.
    root.end(json!(null)).await.unwrap();
    closing.await.unwrap();
    while !callbacks.flush(LONG).await.is_complete() {}
    let [inline, lane, awaited, sync, background] = all;
    let runs = inline.check(false);
    assert!(runs > 20, "{runs}");
    assert_eq!(awaited.check(false), runs);
    for queued in [lane, sync, background] {
        assert_eq!(queued.check(true), runs);
    }
}

/// Runs that start inside callbacks, and are closed elsewhere, in many ways: all handlers see all of
/// each, and in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_that_start_inside_and_close_outside_are_whole() {
    for mode in Mode::ALL {
        for seed in 0..3 {
            let round = start_in_callbacks_and_close_elsewhere(mode, seed);
            let round = tokio::time::timeout(LONG, round).await;
            round.unwrap_or_else(|_| panic!("{mode:?} {seed} hangs"));
        }
    }
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
