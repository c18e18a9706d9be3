//! Plays a plan: a framework whose runs grow, are dropped and end as drawn, and writes down what comes of it.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use callbacks::{Callbacks, RunId, RunInfo};
use callbacks_tests::yields;
use futures_util::future::{BoxFuture, FutureExt, join_all};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

use super::history::Entry;
use super::open::Open;
use super::plan::{self, End, Mood, Node, Plan, Step, Surroundings};
use super::world::{Place, World, locked, patient};

/// Before this has passed, all is done, or it never will be.
const LONG: Duration = Duration::from_secs(60);
/// The same of what takes no time.
const SOON: Duration = Duration::from_secs(10);

/// What runs apart.
pub(super) enum Apart {
    Task(JoinHandle<()>),
    Thread(thread::JoinHandle<()>),
}

impl Apart {
    async fn over(self) {
        match self {
            Self::Task(task) => {
                let panics = task.await.is_err_and(|error| error.is_panic());
                assert!(!panics, "nothing panics unplanned");
            }
            Self::Thread(thread) => thread.join().expect("nothing panics unplanned"),
        }
    }
}

/// As in a report.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) failed: u64,
    pub(crate) timed_out: u64,
    pub(crate) dropped: u64,
}

/// What came of a plan.
pub(crate) struct Played {
    pub(crate) history: Vec<Arc<Entry>>,
    /// What came of the events of each handler, as the drains said.
    pub(crate) counts: HashMap<usize, Counts>,
    /// The runs that are not over, by their own account.
    pub(crate) open: Vec<RunId>,
}

pub(crate) fn play(plan: Plan) -> Played {
    let world = Arc::new(World::new(plan));
    let all = run_all(world.clone());
    let counts = match world.plan.surroundings {
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
    let heard = locked(&world.runs_heard).clone();
    let open = || heard.iter().filter(|run| !run.is_over());
    // Who drove what nobody waited for lets go of it a moment after the drains.
    let begin = Instant::now();
    while open().next().is_some() && begin.elapsed() < SOON {
        thread::yield_now();
    }
    Played {
        history: world.history.read(),
        counts,
        open: open().map(RunInfo::id).collect(),
    }
}

fn runtime(mut builder: Builder) -> Runtime {
    builder.enable_all().build().expect("threads can be had")
}

async fn run_all(world: Arc<World>) -> HashMap<usize, Counts> {
    let listeners = (0..world.plan.handlers.len()).map(|number| world.listener(number));
    *locked(&world.registered) = listeners.collect();
    let numbers = 0..world.plan.handlers.len();
    let callbacks = numbers.clone().fold(Callbacks::new(), |callbacks, number| {
        let is_local = world.plan.handlers[number].is_local;
        world.register(&callbacks, number, is_local)
    });
    world.keep(&callbacks, numbers.clone().collect());
    let place = Place {
        callbacks,
        scope: numbers.collect(),
        around: None,
        tags: Vec::new(),
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
    let started = world.start(&place, node.kind, node.asks, None, node.start);
    let Some(run) = started.await else {
        return;
    };
    let inside = world.inside(place, &run, node.adds);
    let mut late = Vec::new();
    for step in &node.steps {
        let grow = |node: &Arc<Node>| grow(world.clone(), node.clone(), inside.clone());
        match step {
            Step::Emit(patience) => run.emit(*patience).await,
            Step::Sells(patience) => run.sell(*patience).await,
            Step::Inside(node) => grow(node).await,
            Step::AtOnce(nodes) => drop(join_all(nodes.iter().map(grow)).await),
            Step::Apart(node, apart) => world.apart(node, &inside, *apart).await,
            Step::Late(kind) => late.extend(world.start(&inside, *kind, false, None, None).await),
            Step::Yields => yields(1).await,
        }
    }
    match node.end {
        End::Ok(patience) => run.end(patience).await,
        End::Error(patience) => run.error(patience).await,
        End::Dropped => drop(run),
        End::Panics => resume_unwind(Box::new("planned")),
    }
    for run in late {
        run.emit(None).await;
        run.end(None).await;
    }
}

impl World {
    /// Where runs start in this one, with another handler.
    fn inside(&self, place: Place, run: &Open<'_>, adds: Option<usize>) -> Place {
        let mut inside = place;
        inside.callbacks = run.callbacks();
        if inside.around.is_none() {
            let handlers = &self.plan.handlers;
            inside.scope.retain(|number| !handlers[*number].is_local);
        }
        inside.around = Some(run.run.clone());
        let home = || (inside.clone(), run.run.clone());
        locked(&self.home).get_or_insert_with(home);
        let tag = run.run.id.to_string();
        inside.callbacks = inside.callbacks.tag(&*tag);
        inside.tags.push(tag);
        if let Some(number) = adds {
            inside.callbacks = self.register(&inside.callbacks, number, false);
            let is_new = !inside.scope.contains(&number);
            inside.scope.extend(is_new.then_some(number));
            let counted = is_new.then_some(number).into_iter().collect();
            self.keep(&inside.callbacks, counted);
        }
        inside
    }

    /// Has it grow in a task or thread of its own.
    async fn apart(self: &Arc<Self>, node: &Arc<Node>, place: &Place, how: plan::Apart) {
        let mut place = place.clone();
        place.blocks |= how == plan::Apart::Blocking;
        let blocks = place.blocks;
        let grown = grow(self.clone(), node.clone(), place);
        let apart = match Handle::try_current() {
            Ok(runtime) if blocks => {
                Apart::Task(runtime.spawn_blocking(|| futures_executor::block_on(grown)))
            }
            Ok(runtime) => {
                let task = runtime.spawn(grown);
                let handle = task.abort_handle();
                locked(&self.apart).push(Apart::Task(task));
                if let plan::Apart::Aborted(polls) = how {
                    yields(polls.into()).await;
                    handle.abort();
                }
                return;
            }
            Err(_) => Apart::Thread(thread::spawn(|| futures_executor::block_on(grown))),
        };
        locked(&self.apart).push(apart);
    }

    /// There may be more, afterwards: what runs apart has parts of its own.
    fn take_apart(&self) -> Vec<Apart> {
        std::mem::take(&mut *locked(&self.apart))
    }

    /// Drains all, and says what was dropped.
    async fn settle(&self) -> HashMap<usize, Counts> {
        let values = locked(&self.values).clone();
        let emits = |(mood, often): &(Mood, u8)| *mood == Mood::Emits && *often > 0;
        let emits = self
            .plan
            .handlers
            .iter()
            .any(|plan| plan.moods.iter().any(emits));
        loop {
            let before = self.history.read().len();
            for (value, _) in &values {
                drain(value).await;
            }
            // What handlers emit while drains wait for them is not waited for.
            if !emits || self.history.read().len() == before {
                break;
            }
        }
        self.history.add(Entry::Settled);
        let mut counts = HashMap::<_, Counts>::new();
        for (value, counted) in &values {
            for report in value.flush(Duration::ZERO).await.handlers {
                let number = report.name.parse().expect("handlers are named by numbers");
                if counted.contains(&number) {
                    let counts = counts.entry(number).or_default();
                    counts.failed += report.failed;
                    counts.timed_out += report.timed_out;
                    counts.dropped += report.dropped;
                }
            }
        }
        counts
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
