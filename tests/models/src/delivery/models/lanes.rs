//! Lanes and their workers (`lane.rs`, `pool.rs`).
//!
//! Left out: handlers (a job is a line in a log).

use std::sync::{Arc, Mutex as Plain};
use std::time::Duration;

use shuttle::sync::{Barrier, Mutex};
use shuttle::thread;

use crate::delivery::lane::{JOBS_IN_A_ROW, Job, Lane, Numbered, Ticket};
use crate::delivery::ledger::{Ledger, Receipt};
use crate::delivery::sync::{begin, end, give, most_threads};
use crate::delivery::workers;
use crate::explore;
use crate::log::Log;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Did {
    LetGo(u64),
    Begin(u64),
    End(u64),
}

/// A lane that is filled under the lock of its tree.
struct Tree {
    lane: Arc<Lane>,
    last: Mutex<u64>,
    /// Made beforehand and kept, so that they are no steps of the model.
    receipts: Plain<Vec<Receipt>>,
    log: Log<Did>,
}

impl Tree {
    /// For so many jobs.
    fn new(jobs: usize) -> Arc<Self> {
        let ledger = Ledger::new("handler".into(), true);
        Arc::new(Self {
            lane: Arc::default(),
            last: Mutex::new(0),
            receipts: Plain::new((0..jobs).map(|_| ledger.receipt()).collect()),
            log: Log::new(),
        })
    }

    fn push(self: &Arc<Self>, work: impl FnOnce() + Send + 'static) -> Place {
        let mut last = self.last.lock().unwrap();
        *last += 1;
        let receipt = self.receipts.lock().unwrap().pop().unwrap();
        let seq = *last;
        let numbered = Numbered { seq, receipt };
        let this = self.clone();
        let job = Job::Call(Box::new(move |numbered| {
            this.log.add(Did::Begin(numbered.seq));
            work();
            this.log.add(Did::End(numbered.seq));
            this.receipts.lock().unwrap().push(numbered.receipt);
        }));
        Place {
            tree: self.clone(),
            seq,
            ticket: Some(self.lane.clone().push(numbered, job)),
        }
    }

    /// Every job ran once, in order, and each when it was let go and the one before it was over.
    fn ran_in_order(&self) {
        let jobs = 1..=*self.last.lock().unwrap();
        let expected = jobs
            .clone()
            .flat_map(|job| [Did::Begin(job), Did::End(job)]);
        let log = self.log.take();
        let ran = log.iter().filter(|did| !matches!(did, Did::LetGo(_)));
        assert_eq!(
            ran.copied().collect::<Vec<_>>(),
            expected.collect::<Vec<_>>()
        );
        for job in jobs {
            let when = |did| log.iter().position(|&other| other == did);
            assert!(when(Did::LetGo(job)) < when(Did::Begin(job)), "{log:?}");
        }
        assert!(self.lane.is_idle());
    }
}

/// A place in the lane of a tree, until it is dropped.
struct Place {
    tree: Arc<Tree>,
    seq: u64,
    ticket: Option<Ticket>,
}

impl Place {
    /// As a thread does that waits: it lets go of the job, and runs it if nobody else does.
    fn run_here(self) {
        self.run_after(a_moment);
    }

    /// The same, and in between it does something else.
    fn run_after(mut self, other: impl FnOnce()) {
        self.tree.log.add(Did::LetGo(self.seq));
        if let Some(ticket) = self.ticket.take() {
            ticket.release();
            other();
            ticket.run_here();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.tree.log.add(Did::LetGo(self.seq));
            drop(ticket);
        }
    }
}

/// A moment in which something else may happen.
fn a_moment() {
    thread::sleep(Duration::ZERO);
}

/// Modelled: two emissions fill one lane, and let its jobs go in another order than that of their
/// numbers. The rule: every job runs once, in order, and never two at once; every worker leaves.
///
/// In `lane.rs`, without `!self.scheduled` in `claim`: job 3 begins before 2 ends. Without
/// `state.scheduled = false`: no worker comes to the lane any more. In `line.rs`, without
/// `slot.released` in `is_ready`: a job runs before its ticket is gone.
#[test]
fn jobs_run_once_and_in_order() {
    explore::interrupted(3, || {
        begin();
        workers::at_most(2);
        let tree = Tree::new(3);
        let other = thread::spawn({
            let tree = tree.clone();
            move || drop(tree.push(a_moment))
        });
        let first = tree.push(a_moment);
        let second = tree.push(a_moment);
        drop(second);
        drop(first);
        other.join().unwrap();
        end();
        tree.ran_in_order();
    });
}

/// Modelled: two threads that wait fill one lane, and run their jobs themselves if nobody else has come
/// to the lane, while a third emission is queued in it. The rule: as above.
///
/// In `lane.rs`, without `!self.scheduled` in `claim` or without the question `is_next` in
/// `run_here`: two jobs at once. Without `scheduled = false` at its end: what comes after it never
/// runs.
#[test]
fn threads_run_their_own_jobs() {
    explore::interrupted(3, || {
        begin();
        workers::at_most(1);
        let tree = Tree::new(3);
        let others = [Place::run_here as fn(Place), drop].map(|done| {
            let tree = tree.clone();
            thread::spawn(move || done(tree.push(a_moment)))
        });
        tree.push(a_moment).run_here();
        for other in others {
            other.join().unwrap();
        }
        end();
        tree.ran_in_order();
    });
}

/// Modelled: a thread lets go of its job, and before it runs that, it waits for the one behind it, which
/// another has queued and lets go. The rule: no job waits for a thread that does something else.
///
/// In `lane.rs`, without `go_on` in `release`: deadlock.
#[test]
fn a_thread_that_lets_go_holds_up_nobody() {
    explore::interrupted(3, || {
        begin();
        workers::at_most(1);
        let tree = Tree::new(2);
        let both = Arc::new(Barrier::new(2));
        let first = tree.push(a_moment);
        let second = tree.push({
            let both = both.clone();
            move || {
                both.wait();
            }
        });
        let other = thread::spawn(move || drop(second));
        first.run_after(|| {
            both.wait();
        });
        other.join().unwrap();
        end();
        tree.ran_in_order();
    });
}

/// Modelled: two run trees with jobs at once, and workers that linger or are gone by the second.
/// The rule: as above, and there are never more workers than there may be.
///
/// In `pool.rs`, without `if state.threads == self.most`: there are 2 instead of 1.
#[test]
fn lanes_of_two_trees_are_run() {
    for (workers, times) in [(1, 2), (2, 1)] {
        explore::interrupted(times, move || {
            begin();
            workers::at_most(workers);
            let trees = [Tree::new(2), Tree::new(2)];
            let others = trees.clone().map(|tree| {
                thread::spawn(move || {
                    drop(tree.push(a_moment));
                    drop(tree.push(a_moment));
                })
            });
            for other in others {
                other.join().unwrap();
            }
            end();
            for tree in &trees {
                tree.ran_in_order();
            }
            assert!(most_threads() <= workers);
        });
    }
}

/// Modelled: one worker is busy, idle or about to leave, when two or three lanes are scheduled at once
/// whose jobs wait for each other. The rule: a lane waits for no job of another while there may be
/// another thread, the last of which works, too, instead of watching.
///
/// In `pool.rs`, without one of the calls of `alert_watcher`: deadlock. So it is where a watcher that is
/// woken goes to sleep all the same (without `if state.watcher == Watcher::Asleep`), and where one that
/// goes to work stays the watcher (without `state.watcher = Watcher::Nobody`).
#[test]
fn no_lane_waits_for_another() {
    for (lanes, times) in [(2, 2), (3, 1)] {
        explore::interrupted(times, move || {
            begin();
            workers::at_most(lanes);
            let before = Tree::new(1);
            drop(before.push(|| {}));
            let trees: Vec<_> = (0..lanes).map(|_| Tree::new(1)).collect();
            let all = Arc::new(Barrier::new(lanes));
            let mut places: Vec<_> = trees
                .iter()
                .map(|tree| {
                    let all = all.clone();
                    tree.push(move || {
                        all.wait();
                    })
                })
                .collect();
            let others = places.split_off(1);
            let other = thread::spawn(move || drop(others));
            drop(places);
            other.join().unwrap();
            end();
            before.ran_in_order();
            for tree in &trees {
                tree.ran_in_order();
            }
            assert!(most_threads() <= lanes);
        });
    }
}

/// Panics at what is logged of the pool. (Shuttle logs, too.)
struct Panics;

impl tracing::Subscriber for Panics {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().ends_with("::pool")
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {
        panic!("a bug in a subscriber");
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// Modelled: a worker is stuck in a job that waits for that of another lane, and the system gives one more
/// thread, or none, of those that would help; what is told of it panics. The rule: threads that there are run
/// the lanes, and leave.
///
/// In `pool.rs`, without `quietly` in `no_thread`: a thread panics, which was to run the lanes.
#[test]
fn lanes_are_run_without_more_threads() {
    let _panics = tracing::subscriber::set_default(Panics);
    for given in [2, 3] {
        explore::random(1_000, move || {
            begin();
            workers::at_most(8);
            give(given);
            let trees: Vec<_> = (0..5).map(|_| Tree::new(1)).collect();
            let both = Arc::new(Barrier::new(2));
            let waits = |tree: &Arc<Tree>| {
                let both = both.clone();
                tree.push(move || {
                    both.wait();
                })
            };
            let places = [waits(&trees[0]), waits(&trees[1])].into_iter();
            let places: Vec<_> = places
                .chain(trees[2..].iter().map(|tree| tree.push(|| {})))
                .collect();
            places.into_iter().for_each(drop);
            end();
            for tree in &trees {
                tree.ran_in_order();
            }
            assert!(most_threads() <= given);
        });
    }
}

/// Modelled: more jobs in a lane than a worker takes at a time, with one more coming, and another
/// lane behind it. The rule: a lane whose turn is over goes to the end of the line, and is not lost.
///
/// In `pool.rs`, without `state.ready.push_back(lane)` after the run: the rest of the lane is lost.
#[test]
fn long_lanes_have_another_turn() {
    explore::random(1_000, || {
        begin();
        workers::at_most(1);
        let trees = [Tree::new(JOBS_IN_A_ROW + 2), Tree::new(1)];
        let [long, short] = trees.clone();
        let tickets: Vec<_> = (0..=JOBS_IN_A_ROW).map(|_| long.push(|| {})).collect();
        let other = thread::spawn(move || {
            drop(short.push(a_moment));
            drop(long.push(a_moment));
        });
        tickets.into_iter().rev().for_each(drop);
        other.join().unwrap();
        end();
        for tree in &trees {
            tree.ran_in_order();
        }
        assert_eq!(most_threads(), 1);
    });
}
