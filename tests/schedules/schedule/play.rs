//! Plays a plan: a framework whose runs grow, are dropped and end as drawn, and writes down what comes of it.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use callbacks::Callbacks;
use callbacks_tests::yields;
use futures_util::future::{BoxFuture, FutureExt, join_all};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

use super::history::Entry;
use super::plan::{self, End, Mood, Node, Plan, Step, Surroundings};
use super::world::{Place, World, locked, patient};

/// Before this has passed, all is done, or it never will be.
const LONG: Duration = Duration::from_secs(60);

/// What runs apart.
pub(super) enum Apart {
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

/// What came of a plan.
pub(crate) struct Played {
    pub(crate) history: Vec<Entry>,
    /// What each handler was not given, as the drains said.
    pub(crate) dropped: HashMap<usize, u64>,
}

pub(crate) fn play(plan: Plan) -> Played {
    let world = Arc::new(World::new(plan));
    let all = run_all(world.clone());
    let dropped = match world.plan.surroundings {
        Surroundings::CurrentThread | Surroundings::BlockingInCurrentThread => {
            runtime(Builder::new_current_thread()).block_on(all)
        }
        Surroundings::Paused => {
            let mut builder = Builder::new_current_thread();
            builder.start_paused(true);
            runtime(builder).block_on(all)
        }
        Surroundings::MultiThread | Surroundings::BlockingInMultiThread => {
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
    let place = Place {
        callbacks,
        scope: numbers.collect(),
        is_root: true,
        blocks: world.plan.surroundings.block(),
    };
    let trees = world.plan.trees.iter();
    join_all(trees.map(|tree| grow(world.clone(), tree.clone(), place.clone()))).await;
    drop(place);
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
fn grow(world: Arc<World>, node: Arc<Node>, place: Place) -> BoxFuture<'static, ()> {
    let all = node.all;
    let grown = async move { live(&world, &node, place).await };
    let grown = AssertUnwindSafe(grown).catch_unwind();
    async move {
        patient(grown, all).await;
    }
    .boxed()
}

async fn live(world: &Arc<World>, node: &Node, place: Place) {
    let start = async |emission| world.start(&place, node.kind, node.asks, emission).await;
    let Some(Ok(Some(guard))) = world.emit(&place.scope, None, node.start, start).await else {
        return;
    };
    let scope = place.scope.clone();
    let mut inside = place;
    inside.callbacks = guard.callbacks();
    if inside.is_root {
        let handlers = &world.plan.handlers;
        inside.scope.retain(|number| !handlers[*number].is_local);
    }
    inside.is_root = false;
    locked(&world.home).get_or_insert_with(|| inside.clone());
    if let Some(number) = node.adds {
        inside.callbacks = world.register(&inside.callbacks, number, false);
        world.keep(&inside.callbacks);
        if !inside.scope.contains(&number) {
            inside.scope.push(number);
        }
    }
    let mut late = Vec::new();
    for step in &node.steps {
        let grow = |node: &Arc<Node>| grow(world.clone(), node.clone(), inside.clone());
        match step {
            Step::Emit(patience) => {
                let event = async |emission| guard.emit(emission).await;
                world.emit(&scope, None, *patience, event).await;
            }
            Step::Sells(patience) => {
                let event = async |emission| guard.sell(emission).await;
                world.emit(&scope, None, *patience, event).await;
            }
            Step::Inside(node) => grow(node).await,
            Step::AtOnce(nodes) => drop(join_all(nodes.iter().map(grow)).await),
            Step::Apart(node, apart) => world.apart(node, &inside, *apart),
            Step::Late(kind) => {
                let start = async |emission| world.start(&inside, *kind, false, emission).await;
                let started = world.emit(&inside.scope, None, None, start).await;
                late.extend(started.and_then(Result::ok).flatten());
            }
            Step::Yields => yields(1).await,
        }
    }
    match node.end {
        End::Ok(patience) => {
            let end = async |emission| guard.end(emission).await;
            world.emit(&scope, None, patience, end).await;
        }
        End::Error(patience) => {
            let error = async |emission| guard.error(emission).await;
            world.emit(&scope, None, patience, error).await;
        }
        End::Dropped => drop(guard),
        End::Panics => resume_unwind(Box::new("planned")),
    }
    for guard in late {
        let event = async |emission| guard.emit(emission).await;
        world.emit(&inside.scope, None, None, event).await;
        let end = async |emission| guard.end(emission).await;
        world.emit(&inside.scope, None, None, end).await;
    }
}

impl World {
    /// Has it grow in a task or thread of its own.
    fn apart(self: &Arc<Self>, node: &Arc<Node>, place: &Place, how: plan::Apart) {
        let mut place = place.clone();
        place.blocks |= how == plan::Apart::Blocking;
        let blocks = place.blocks;
        let grown = grow(self.clone(), node.clone(), place);
        let apart = match Handle::try_current() {
            Ok(runtime) if blocks => {
                let grown = runtime.spawn_blocking(|| futures_executor::block_on(grown));
                Apart::Task(grown, false)
            }
            Ok(runtime) => Apart::Task(runtime.spawn(grown), how == plan::Apart::Aborted),
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
