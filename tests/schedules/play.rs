//! Plays a plan: a framework whose runs grow, are dropped and end as drawn, and writes down what comes of it.

use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use callbacks::events::{
    ChainEnd, ChainError, ChainStart, LlmEnd, LlmError, LlmStart, RetrieverEnd, RetrieverError,
    RetrieverStart, ToolEnd, ToolError, ToolStart,
};
use callbacks::{Callbacks, EmitError, Event, Exclusive, Interests, OnFull, Queue, handler};
use callbacks_tests::yields;
use futures_util::future::{BoxFuture, FutureExt, join_all};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

use crate::guard::Guard;
use crate::hears::{Hears, HearsAlone};
use crate::history::{Emission, Entry, History, Returned};
use crate::plan::{End, Kind, Mood, Node, Patience, Plan, Step, Surroundings, Wants, Way};

/// Before this has passed, all is done, or it never will be.
const LONG: Duration = Duration::from_secs(60);
/// A handler that has a timeout has this one. Where it counts, the clock jumps.
const TIMEOUT: Duration = Duration::from_secs(1);
/// How often handlers emit, in all: what they emit is heard by handlers that emit.
const EMITTED_INSIDE: u64 = 12;

/// All that a plan is played in.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) history: History,
    calls: AtomicU64,
    emissions: AtomicU64,
    emitted_inside: AtomicU64,
    /// Where handlers emit: inside the first run.
    home: Mutex<Option<(Callbacks, Scope)>>,
    registered: Mutex<Vec<Listener>>,
    /// All values that handlers were registered with, for the drains.
    values: Mutex<Vec<Callbacks>>,
    apart: Mutex<Vec<Apart>>,
}

/// What runs apart.
enum Apart {
    Task(JoinHandle<()>, bool),
    Thread(thread::JoinHandle<()>),
}

impl Apart {
    async fn over(self) {
        match self {
            Self::Task(task, is_aborted) => {
                if is_aborted {
                    task.abort();
                }
                let panics = task.await.is_err_and(|error| error.is_panic());
                assert!(!panics, "nothing panics unplanned");
            }
            Self::Thread(thread) => thread.join().expect("nothing panics unplanned"),
        }
    }
}

/// The handlers that are registered, in this order.
type Scope = Vec<usize>;

#[derive(Clone)]
enum Listener {
    Shared(Arc<Hears>),
    Alone(Exclusive<HearsAlone>),
}

/// What came of a plan.
pub(crate) struct Played {
    pub(crate) history: Vec<Entry>,
    /// What each handler was not given, as the drains said.
    pub(crate) dropped: HashMap<usize, u64>,
}

pub(crate) fn play(plan: Plan) -> Played {
    let world = Arc::new(World {
        plan,
        history: History::default(),
        calls: AtomicU64::new(0),
        emissions: AtomicU64::new(0),
        emitted_inside: AtomicU64::new(0),
        home: Mutex::default(),
        registered: Mutex::default(),
        values: Mutex::default(),
        apart: Mutex::default(),
    });
    let all = run_all(world.clone());
    let dropped = match world.plan.surroundings {
        Surroundings::CurrentThread => runtime(Builder::new_current_thread()).block_on(all),
        Surroundings::Paused => {
            let mut builder = Builder::new_current_thread();
            builder.start_paused(true);
            runtime(builder).block_on(all)
        }
        Surroundings::MultiThread => {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(2);
            let runtime = runtime(builder);
            let all = runtime.spawn(all);
            runtime.block_on(all).expect("nothing panics unplanned")
        }
        Surroundings::NoRuntime | Surroundings::Blocking => futures_executor::block_on(all),
    };
    // They hold the world, which holds them.
    *locked(&world.home) = None;
    locked(&world.registered).clear();
    locked(&world.values).clear();
    // What is written down after the drains is found, too.
    Played {
        history: world.history.read(),
        dropped,
    }
}

fn runtime(mut builder: Builder) -> Runtime {
    builder.enable_all().build().expect("threads can be had")
}

async fn run_all(world: Arc<World>) -> HashMap<usize, u64> {
    let listeners = (0..world.plan.handlers.len()).map(|number| world.listener(number));
    *locked(&world.registered) = listeners.collect();
    let numbers = 0..world.plan.handlers.len();
    let callbacks = numbers.clone().fold(Callbacks::new(), |callbacks, number| {
        let is_local = world.plan.handlers[number].is_local;
        world.register(&callbacks, number, is_local)
    });
    world.keep(&callbacks);
    let trees = world.plan.trees.iter().map(|tree| {
        let scope = numbers.clone().collect();
        grow(world.clone(), tree.clone(), callbacks.clone(), scope, true)
    });
    join_all(trees).await;
    drop(callbacks);
    loop {
        let apart = world.take_apart();
        if apart.is_empty() {
            break;
        }
        for apart in apart {
            apart.over().await;
        }
    }
    world.settle().await
}

/// A run, and all that happens in it.
fn grow(
    world: Arc<World>,
    node: Arc<Node>,
    callbacks: Callbacks,
    scope: Scope,
    is_root: bool,
) -> BoxFuture<'static, ()> {
    let all = node.all;
    let grown = async move { live(&world, &node, &callbacks, scope, is_root).await };
    let grown = AssertUnwindSafe(grown).catch_unwind();
    async move {
        patient(grown, all).await;
    }
    .boxed()
}

async fn live(world: &Arc<World>, node: &Node, callbacks: &Callbacks, scope: Scope, is_root: bool) {
    let start = async |emission| Guard::start(callbacks, node.kind, world.blocks(), emission).await;
    let Some(Ok(guard)) = world.emit(&scope, None, node.start, start).await else {
        return;
    };
    let mut scope = scope;
    let guards_scope = scope.clone();
    if is_root {
        scope.retain(|number| !world.plan.handlers[*number].is_local);
    }
    let mut inside = guard.callbacks();
    locked(&world.home).get_or_insert_with(|| (inside.clone(), scope.clone()));
    if let Some(number) = node.adds {
        inside = world.register(&inside, number, false);
        world.keep(&inside);
        if !scope.contains(&number) {
            scope.push(number);
        }
    }
    let mut late = Vec::new();
    for step in &node.steps {
        let grow = |node: &Arc<Node>| {
            grow(
                world.clone(),
                node.clone(),
                inside.clone(),
                scope.clone(),
                false,
            )
        };
        match step {
            Step::Emit(patience) => {
                let event = async |emission| guard.emit(emission).await;
                world.emit(&guards_scope, None, *patience, event).await;
            }
            Step::Inside(node) => grow(node).await,
            Step::AtOnce(nodes) => drop(join_all(nodes.iter().map(grow)).await),
            Step::Apart(node, is_aborted) => world.apart(grow(node), *is_aborted),
            Step::Late(kind) => {
                let start =
                    async |emission| Guard::start(&inside, *kind, world.blocks(), emission).await;
                if let Some(Ok(guard)) = world.emit(&scope, None, None, start).await {
                    late.push((guard, scope.clone()));
                }
            }
            Step::Yields => yields(1).await,
        }
    }
    match node.end {
        End::Ok(patience) => {
            let end = async |emission| guard.end(emission).await;
            world.emit(&guards_scope, None, patience, end).await;
        }
        End::Error(patience) => {
            let error = async |emission| guard.error(emission).await;
            world.emit(&guards_scope, None, patience, error).await;
        }
        End::Dropped => drop(guard),
        End::Panics => resume_unwind(Box::new("planned")),
    }
    for (guard, scope) in late {
        let event = async |emission| guard.emit(emission).await;
        world.emit(&scope, None, None, event).await;
        let end = async |emission| guard.end(emission).await;
        world.emit(&scope, None, None, end).await;
    }
}

impl World {
    pub(crate) fn next_call(&self) -> u64 {
        self.calls.fetch_add(1, Ordering::Relaxed)
    }

    fn blocks(&self) -> bool {
        self.plan.surroundings == Surroundings::Blocking
    }

    /// Has something emitted, and writes down when, and what came of it. `None` if it was dropped before.
    async fn emit<T>(
        &self,
        scope: &Scope,
        within: Option<u64>,
        patience: Patience,
        emit: impl AsyncFnOnce(Emission) -> Result<T, EmitError>,
    ) -> Option<Result<T, EmitError>> {
        let emission = self.emissions.fetch_add(1, Ordering::Relaxed);
        let scope = scope.clone();
        let watched = async {
            self.history.add(Entry::Began {
                emission,
                scope,
                within,
            });
            let mut watch = Watch {
                history: &self.history,
                emission,
                result: None,
            };
            let emitted = emit(emission).await;
            watch.result = Some(match &emitted {
                Ok(_) => Returned::Ok,
                Err(EmitError::RunClosed) => Returned::Closed,
                Err(EmitError::Raised { handler, .. }) => {
                    Returned::Raised(handler.parse().expect("handlers are named by numbers"))
                }
                Err(error) => panic!("{error:?}"),
            });
            emitted
        };
        patient(watched, patience).await
    }

    /// What a handler emits: in the first run, or a run in that.
    pub(crate) async fn emit_inside(&self, call: u64) {
        let so_far = self.emitted_inside.fetch_add(1, Ordering::Relaxed);
        let home = locked(&self.home).clone();
        let Some((callbacks, scope)) = home.filter(|_| so_far < EMITTED_INSIDE) else {
            return;
        };
        let within = Some(call);
        if so_far.is_multiple_of(2) {
            let event = async |emission: Emission| {
                callbacks.custom_event("planned", || emission.into()).await
            };
            self.emit(&scope, within, None, event).await;
            return;
        }
        let start =
            async |emission| Guard::start(&callbacks, Kind::Tool, self.blocks(), emission).await;
        let Some(Ok(guard)) = self.emit(&scope, within, None, start).await else {
            return;
        };
        let end = async |emission| guard.end(emission).await;
        self.emit(&scope, within, None, end).await;
    }

    fn listener(self: &Arc<Self>, number: usize) -> Listener {
        let hears = Hears {
            world: self.clone(),
            number,
        };
        match self.plan.handlers[number].way {
            Way::Exclusive => Listener::Alone(Exclusive::new(HearsAlone(hears))),
            _ => Listener::Shared(Arc::new(hears)),
        }
    }

    /// The value with this handler, too.
    fn register(&self, callbacks: &Callbacks, number: usize, is_local: bool) -> Callbacks {
        macro_rules! with {
            ($listener:expr) => {{
                let plan = &self.plan.handlers[number];
                let mut listener = handler($listener).named(number.to_string());
                listener = match plan.wants {
                    Wants::All => listener,
                    Wants::NoTools => listener.except(Interests::TOOL),
                    Wants::NoModels => listener.except(Interests::LLM),
                    Wants::Frame => listener.only(FRAME),
                };
                if plan.raises {
                    listener = listener.raise_errors();
                }
                if plan.has_timeout {
                    listener = listener.timeout(TIMEOUT);
                }
                listener = match plan.way {
                    Way::Inline => listener.inline(),
                    Way::Background { room, drops, .. } => {
                        let on_full = if drops {
                            OnFull::DropNewest
                        } else {
                            OnFull::Wait
                        };
                        listener.background(Queue::bounded(room).on_full(on_full))
                    }
                    Way::Lane | Way::Async | Way::Exclusive => listener,
                };
                if is_local {
                    callbacks.with_local(listener)
                } else {
                    callbacks.with(listener)
                }
            }};
        }
        let listener = locked(&self.registered)[number].clone();
        match listener {
            Listener::Shared(hears) => with!(hears),
            Listener::Alone(hears) => with!(hears),
        }
    }

    fn keep(&self, callbacks: &Callbacks) {
        locked(&self.values).push(callbacks.clone());
    }

    /// Has it grow in a task or thread of its own.
    fn apart(&self, grown: BoxFuture<'static, ()>, is_aborted: bool) {
        let apart = match Handle::try_current() {
            Ok(runtime) => Apart::Task(runtime.spawn(grown), is_aborted),
            Err(_) => Apart::Thread(thread::spawn(|| futures_executor::block_on(grown))),
        };
        locked(&self.apart).push(apart);
    }

    /// There may be more, afterwards: what runs apart has parts of its own.
    fn take_apart(&self) -> Vec<Apart> {
        std::mem::take(&mut *locked(&self.apart))
    }

    /// Drains all, and says what was dropped.
    async fn settle(&self) -> HashMap<usize, u64> {
        let values = locked(&self.values).clone();
        let emits = |(mood, often): &(Mood, u8)| *mood == Mood::Emits && *often > 0;
        let emits = self
            .plan
            .handlers
            .iter()
            .any(|plan| plan.moods.iter().any(emits));
        loop {
            let before = self.history.read().len();
            for value in &values {
                drain(value).await;
            }
            // What handlers emit while drains wait for them is not waited for.
            if !emits || self.history.read().len() == before {
                break;
            }
        }
        self.history.add(Entry::Settled);
        let mut dropped = HashMap::new();
        for value in &values {
            for report in value.flush(Duration::ZERO).await.handlers {
                let number = report.name.parse().expect("handlers are named by numbers");
                *dropped.entry(number).or_default() += report.dropped;
            }
        }
        dropped
    }
}

async fn drain(value: &Callbacks) {
    let begin = Instant::now();
    loop {
        // Where the clock jumps, it does while threads are busy.
        let report = value.flush(Duration::from_secs(5)).await;
        if report.is_complete() {
            return;
        }
        assert!(begin.elapsed() < LONG, "it is not done: {report:?}");
        thread::yield_now();
    }
}

const FRAME: Interests = Interests::of(&[
    LlmStart::INDEX,
    LlmEnd::INDEX,
    LlmError::INDEX,
    ChainStart::INDEX,
    ChainEnd::INDEX,
    ChainError::INDEX,
    ToolStart::INDEX,
    ToolEnd::INDEX,
    ToolError::INDEX,
    RetrieverStart::INDEX,
    RetrieverEnd::INDEX,
    RetrieverError::INDEX,
]);

/// Writes down that an emission is over, or was dropped.
struct Watch<'h> {
    history: &'h History,
    emission: Emission,
    result: Option<Returned>,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let emission = self.emission;
        self.history.add(match self.result.take() {
            Some(result) => Entry::Returned { emission, result },
            None => Entry::Dropped { emission },
        });
    }
}

/// The future's output, unless it is dropped after so many polls.
async fn patient<F: Future>(future: F, patience: Patience) -> Option<F::Output> {
    let (mut future, mut left) = (pin!(future), patience);
    poll_fn(|cx| match (future.as_mut().poll(cx), &mut left) {
        (Poll::Ready(output), _) => Poll::Ready(Some(output)),
        (Poll::Pending, Some(0)) => Poll::Ready(None),
        (Poll::Pending, Some(left)) => {
            *left -= 1;
            Poll::Pending
        }
        (Poll::Pending, None) => Poll::Pending,
    })
    .await
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.plan.fmt(f)
    }
}
