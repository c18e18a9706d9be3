//! What is put off in a run tree, and who does it (`deferred.rs`, `driven.rs`).
//!
//! Left out: callbacks (a model puts off what it wants to, from threads of its own) and emissions (a
//! piece of work is a line in a log, and waits once).

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use shuttle::future::{block_on, yield_now};
use shuttle::thread;
use tokio::sync::SetOnce;

use crate::delivery::deferred::{Deferred, Turn, Work};
use crate::delivery::runtime::{Handle, own_runtime};
use crate::delivery::sync::{AtomicBool, begin, end};
use crate::explore;
use crate::log::Log;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Did {
    Queue(u64),
    Begin(u64),
    End(u64),
    Release(u64),
    Close,
}

/// The work of one run tree.
#[derive(Clone)]
struct Tree {
    deferred: Arc<Deferred>,
    log: Log<Did>,
}

impl Tree {
    fn new(home: Option<Handle>) -> Self {
        begin();
        own_runtime();
        Self {
            deferred: Deferred::new(home),
            log: Log::new(),
        }
    }

    fn push(&self, number: u64) -> Turn {
        self.try_push(None, number, yield_now()).unwrap()
    }

    fn try_push(
        &self,
        closed: Option<&AtomicBool>,
        number: u64,
        wait: impl Future<Output = ()> + Send + 'static,
    ) -> Option<Turn> {
        self.push_as(closed, false, number, wait)
    }

    fn push_as(
        &self,
        closed: Option<&AtomicBool>,
        held: bool,
        number: u64,
        wait: impl Future<Output = ()> + Send + 'static,
    ) -> Option<Turn> {
        let turn = self.deferred.push(closed, held, || {
            self.log.add(Did::Queue(number));
            let log = self.log.clone();
            Box::pin(async move {
                log.add(Did::Begin(number));
                wait.await;
                log.add(Did::End(number));
            }) as Work
        });
        // The emissions of the tree look whether something is put off.
        let done = |log: Vec<Did>| log.contains(&Did::End(number));
        assert!(turn.is_none() || self.deferred.is_pending() || done(self.log.entries()));
        turn
    }

    fn wait(&self, turn: Turn, number: u64) {
        block_on(turn);
        assert!(self.log.entries().contains(&Did::End(number)));
    }

    /// All that was put off was done once, in order, one after another.
    fn did_all_in_order(&self) {
        let log = self.log.take();
        let queued = log.iter().filter_map(|did| match did {
            Did::Queue(number) => Some(*number),
            _ => None,
        });
        let expected = queued.flat_map(|work| [Did::Begin(work), Did::End(work)]);
        let done = log
            .iter()
            .filter(|did| matches!(did, Did::Begin(_) | Did::End(_)));
        assert!(done.copied().eq(expected), "{log:?}");
        assert!(!self.deferred.is_pending());
    }
}

/// Polls a turn, and waits no longer then.
fn poll_once(turn: &mut Turn) {
    block_on(poll_fn(|cx| {
        let _ = Pin::new(&mut *turn).poll(cx);
        Poll::Ready(())
    }));
}

/// Modelled: three threads put work off. One waits for its turn, one stops waiting after a while, and
/// one drops its turns, joined, at once. The rule: all work is done once and in order, every turn
/// that is waited for comes, and none is done by two.
///
/// In `deferred.rs`, without `queue.handed_on = false` in `poll_next`, or with turns that are not
/// responsible: work stays undone. With `queue.driver.clone()` instead of `take()`: likewise. With
/// `pending` set to false once the lock is released: work is put off, and `is_pending` denies it.
#[test]
fn work_is_done_whoever_waits() {
    let model = || {
        let tree = Tree::new(None);
        let stops = thread::spawn({
            let tree = tree.clone();
            move || poll_once(&mut tree.push(1))
        });
        let drops = thread::spawn({
            let tree = tree.clone();
            move || {
                let mut turn = tree.push(2);
                let later = tree.push(3);
                assert!(turn.is_with(&later));
                drop(turn.join(later));
            }
        });
        let turn = tree.push(4);
        tree.wait(turn, 4);
        stops.join().unwrap();
        drops.join().unwrap();
        end();
        tree.did_all_in_order();
    };
    explore::interrupted(1, model);
    explore::random(50_000, model);
}

/// Modelled: work comes behind that of a turn, and waits for something that happens after the turn.
/// The rule: a turn comes when its own work is done.
///
/// In `deferred.rs`, without the wakers being woken in `done`: deadlock.
#[test]
fn a_turn_waits_for_nothing_later() {
    explore::interrupted(3, || {
        let tree = Tree::new(None);
        let gate = Arc::new(SetOnce::new());
        let turn = tree.push(1);
        let later = thread::spawn({
            let (tree, gate) = (tree.clone(), gate.clone());
            move || {
                let opened = async move { () = *gate.wait().await };
                block_on(tree.try_push(None, 2, opened).unwrap());
            }
        });
        tree.wait(turn, 1);
        gate.set(()).unwrap();
        later.join().unwrap();
        end();
        tree.did_all_in_order();
    });
}

/// Modelled: a turn is dropped only when its work was done by another, and more was put off since.
/// The rule: as above.
///
/// In `deferred.rs`, with `hand_on` handing on the driver that the turn has known: it is at its end, and
/// that of the new work is never handed on, which stays undone.
#[test]
fn work_is_done_when_an_old_turn_goes() {
    explore::all(|| {
        let tree = Tree::new(None);
        let old = tree.push(1);
        tree.wait(tree.deferred.turn().unwrap(), 1);
        let new = tree.push(2);
        drop(old);
        drop(new);
        end();
        tree.did_all_in_order();
    });
}

/// Modelled: work is put off in the middle of an emission, which then reaches its handlers, while others
/// wait for it and put off more. The rule: it begins after that, and all is done all the same; also if
/// its turn is dropped instead.
///
/// In `deferred.rs`, with work that is not held in `push`: it begins before. Without waking in
/// `release`: deadlock.
#[test]
fn held_work_begins_when_it_is_released() {
    for drops in [false, true] {
        explore::interrupted(1, move || {
            let tree = Tree::new(None);
            let mut turn = tree.push_as(None, true, 1, yield_now()).unwrap();
            let waits = thread::spawn({
                let tree = tree.clone();
                move || {
                    if let Some(turn) = tree.deferred.turn() {
                        block_on(turn);
                    }
                    tree.wait(tree.push(2), 2);
                }
            });
            let drives = thread::spawn({
                let tree = tree.clone();
                move || drop(tree.push(3))
            });
            tree.log.add(Did::Release(1));
            if drops {
                drop(turn);
            } else {
                turn.release();
                tree.wait(turn, 1);
            }
            waits.join().unwrap();
            drives.join().unwrap();
            end();
            let log = tree.log.entries();
            let when = |did| log.iter().position(|&other| other == did);
            assert!(when(Did::Release(1)) < when(Did::Begin(1)), "{log:?}");
            tree.did_all_in_order();
        });
    }
}

/// Modelled: work is put off by one thread and again by another, each handing it on to the runtime
/// that the tree was started on; that is shut down at any moment. The rule: as above.
///
/// In `driven.rs`, without `spawn_on_own(future)` in the drop of `Background`: work stays undone.
#[test]
fn work_outlives_runtimes() {
    explore::interrupted(3, || {
        let runtime = Handle::new(1);
        let tree = Tree::new(Some(runtime.clone()));
        let other = thread::spawn({
            let tree = tree.clone();
            move || drop(tree.push(1))
        });
        drop(tree.push(2));
        runtime.shut_down();
        other.join().unwrap();
        end();
        tree.did_all_in_order();
    });
}

/// Modelled: work of a run is put off while the run is closed, and its closing waits for the turn.
/// The rule: the work is either refused, or done before the closing goes on.
///
/// In `deferred.rs`, with `closed` looked at before the lock in `push`: done after it.
#[test]
fn work_of_a_closed_run_is_refused_or_done() {
    explore::interrupted(3, || {
        let tree = Tree::new(None);
        let closed = Arc::new(AtomicBool::new(false));
        let pushing = thread::spawn({
            let (tree, closed) = (tree.clone(), closed.clone());
            move || {
                drop(tree.push(1));
                drop(tree.try_push(Some(&closed), 2, yield_now()));
            }
        });
        closed.store(true, Ordering::SeqCst);
        if let Some(turn) = tree.deferred.turn() {
            block_on(turn);
        }
        tree.log.add(Did::Close);
        pushing.join().unwrap();
        end();
        let log = tree.log.entries();
        let when = |did| log.iter().position(|&other| other == did);
        let [queue, done, close] = [Did::Queue(2), Did::End(2), Did::Close].map(when);
        assert!(queue.is_none() || done.is_some() && done < close, "{log:?}");
        tree.did_all_in_order();
    });
}
