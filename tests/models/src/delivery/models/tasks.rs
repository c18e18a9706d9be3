//! Lanes that workers and tasks have in turn (`lane.rs`, `task.rs`, `pool.rs`).
//!
//! Left out: handlers (a job is a line in a log, and waits once), tasks that outlive their turn of
//! the runtime, and a system that gives no thread for a runtime of our own.

use std::sync::{Arc, Mutex as Plain};

use shuttle::future::yield_now;
use shuttle::thread;

use crate::delivery::lane::{Job, Lane, Numbered};
use crate::delivery::ledger::{Ledger, Receipt};
use crate::delivery::runtime::Handle;
use crate::delivery::sync::{begin, end};
use crate::delivery::workers;
use crate::explore;
use crate::log::Log;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Did {
    Begin(u64),
    End(u64),
}

struct Tree {
    lane: Arc<Lane>,
    receipts: Plain<Vec<Receipt>>,
    log: Log<Did>,
    /// On which runtime each task began.
    runtimes: Log<Option<usize>>,
}

impl Tree {
    fn new(jobs: usize) -> Arc<Self> {
        begin();
        workers::at_most(1);
        let ledger = Ledger::new("handler".into(), true);
        Arc::new(Self {
            lane: Arc::default(),
            receipts: Plain::new((0..jobs).map(|_| ledger.receipt()).collect()),
            log: Log::new(),
            runtimes: Log::new(),
        })
    }

    /// Queues a job for a worker, and lets it go.
    fn call(self: &Arc<Self>, seq: u64) {
        let this = self.clone();
        let call = move |numbered: Numbered| {
            this.log.add(Did::Begin(numbered.seq));
            this.log.add(Did::End(numbered.seq));
            this.receipts.lock().unwrap().push(numbered.receipt);
        };
        self.push(seq, Job::Call(Box::new(call)));
    }

    /// Queues a job for a task, and lets it go.
    fn task(self: &Arc<Self>, seq: u64, runtime: Option<&Handle>) {
        let this = self.clone();
        let start = move |numbered: Numbered| -> crate::BoxFuture<'static, ()> {
            Box::pin(async move {
                let here = Handle::try_current();
                this.runtimes.add(here.ok().map(|here| here.id()));
                this.log.add(Did::Begin(numbered.seq));
                yield_now().await;
                this.log.add(Did::End(numbered.seq));
                this.receipts.lock().unwrap().push(numbered.receipt);
            })
        };
        self.push(seq, Job::Task(runtime.cloned(), Box::new(start)));
    }

    fn push(&self, seq: u64, job: Job) {
        let receipt = self.receipts.lock().unwrap().pop().unwrap();
        drop(self.lane.clone().push(Numbered { seq, receipt }, job));
    }

    /// So many jobs ran once, in order, and each when the one before it was over.
    fn ran_in_order(&self, jobs: u64) {
        let expected = (1..=jobs).flat_map(|job| [Did::Begin(job), Did::End(job)]);
        assert_eq!(self.log.take(), expected.collect::<Vec<_>>());
        assert!(self.lane.is_idle());
    }
}

/// Modelled: while a worker or a task has the lane, jobs for both come. The rule: every job runs
/// once, in order, and never two at once.
///
/// In `lane.rs`, with a job put back at the end of the line: 3 runs before 2. Without `self.go_on()` in
/// `run`, or in `task.rs` without `lane.go_on()`: what comes behind the turn of the other does not run.
#[test]
fn workers_and_tasks_take_turns() {
    explore::interrupted(2, || {
        let tree = Tree::new(4);
        let runtime = Handle::new(1);
        let other = thread::spawn({
            let (tree, runtime) = (tree.clone(), runtime.clone());
            move || {
                tree.call(1);
                tree.task(2, Some(&runtime));
                tree.call(3);
                tree.task(4, None);
            }
        });
        other.join().unwrap();
        end();
        tree.ran_in_order(4);
    });
}

/// Modelled: the runtime of a task is shut down at any moment: before the task is spawned, while its
/// job waits, or when the lane has gone on. The rule: as above; the job, too, comes to its end.
///
/// In `driven.rs`, without `spawn_on_own(future)` in the drop of `Background`: nothing runs.
#[test]
fn lanes_outlive_runtimes() {
    explore::interrupted(3, || {
        let tree = Tree::new(3);
        let runtime = Handle::new(1);
        let other = thread::spawn({
            let (tree, runtime) = (tree.clone(), runtime.clone());
            move || {
                tree.task(1, Some(&runtime));
                tree.task(2, Some(&runtime));
                tree.call(3);
            }
        });
        runtime.shut_down();
        other.join().unwrap();
        end();
        tree.ran_in_order(3);
    });
}

/// Modelled: the jobs of a lane belong on different runtimes. The rule: each begins on its own.
///
/// In `task.rs`, with `moves` always `None`: all begin on the first.
#[test]
fn tasks_move_between_runtimes() {
    explore::interrupted(2, || {
        let tree = Tree::new(3);
        let [first, second] = [1, 2].map(Handle::new);
        let other = thread::spawn({
            let tree = tree.clone();
            move || {
                tree.task(1, Some(&first));
                tree.task(2, Some(&second));
                tree.task(3, Some(&first));
            }
        });
        other.join().unwrap();
        end();
        tree.ran_in_order(3);
        assert_eq!(tree.runtimes.take(), [1, 2, 1].map(Some));
    });
}
