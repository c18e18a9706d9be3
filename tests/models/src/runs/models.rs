//! The closing of runs (`tree.rs`, `closing.rs`, with `deferred.rs` and `driven.rs`).
//!
//! Left out: handlers and their lanes (to deliver an event is to write it down and to wait once),
//! callbacks, and guards: what they do with a run is done here by a stand-in.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use shuttle::future::block_on;
use shuttle::thread;

use super::closing::{close, close_unwaited};
use super::kinds::Family;
use super::tree::{Node, Tree};
use crate::delivery::sync::{begin, end};
use crate::delivery::{Handle, Heard, Place, Prepared, Registry, Site, deliver, own_runtime};
use crate::events::owned::AnyEvent;
use crate::events::{Events, View};
use crate::log::Log;
use crate::payload::RunError;
use crate::{Live, RunInfo, explore};

/// How a run is closed.
#[derive(Clone, Copy)]
enum How {
    /// By an end that is waited for.
    End,
    /// By an end that somebody stops waiting for.
    Stop,
    /// By a guard that is dropped.
    Drop,
}

/// Stands in for the guard of a run.
#[derive(Clone)]
struct Guard(Arc<Node>);

impl Guard {
    fn root(log: &Log<Heard>, number: u64) -> Self {
        Self::start(&Tree::new(), None, log, number).unwrap()
    }

    fn child(&self, log: &Log<Heard>, number: u64) -> Option<Self> {
        Self::start(&self.0.tree, Some(self), log, number)
    }

    fn start(
        tree: &Arc<Tree>,
        parent: Option<&Self>,
        log: &Log<Heard>,
        number: u64,
    ) -> Option<Self> {
        let parent = parent.map(|parent| &*parent.0);
        let info = Live(RunInfo(number));
        let node = tree.open(parent, Registry::new(log), Family, info, |_| {});
        let node = node.ok()?;
        let started = async {
            let place = Place {
                closed: None,
                ..node.place()
            };
            let route = place.registry.route::<Events>(0).unwrap();
            deliver(route, &place, &View(&AnyEvent::Start), Prepared::default()).await
        };
        let mut started = Box::pin(started);
        let reached = block_on(poll_fn(|cx| Poll::Ready(started.as_mut().poll(cx))));
        node.begin();
        if reached.is_pending() {
            block_on(started.as_mut()).unwrap();
        }
        drop(started);
        Some(Self(node))
    }

    fn close(self, how: How) {
        let Self(node) = self;
        let ends = Some(AnyEvent::End);
        match how {
            How::End => drop(block_on(close(node, ends))),
            How::Stop => {
                let mut closing = pin!(close(node, ends));
                block_on(poll_fn(|cx| {
                    let _ = closing.as_mut().poll(cx);
                    Poll::Ready(())
                }));
            }
            How::Drop => close_unwaited(&node, node.error(RunError::new("")), false),
        }
    }
}

/// Each of the runs had one start and then one terminal event, each in full. A child, which comes
/// with its parent, had its own before that began, and with a smaller number.
fn closed_once(log: &Log<Heard>, opened: &[(u64, Option<u64>)]) {
    let log = log.entries();
    let of = |run: u64, starts: bool| {
        let is = |info: RunInfo, event| info.0 == run && (event == AnyEvent::Start) == starts;
        let found = log.iter().enumerate().filter(|(_, heard)| match **heard {
            Heard::Begin(info, event, _) | Heard::End(info, event) => is(info, event),
        });
        match found.collect::<Vec<_>>()[..] {
            [(begin, &Heard::Begin(_, _, seq)), (end, &Heard::End(..))] => (begin, end, seq),
            _ => panic!("run {run}: {log:?}"),
        }
    };
    for &(run, parent) in opened {
        let (start, terminal) = (of(run, true), of(run, false));
        assert!(start.0 < terminal.0 && start.2 < terminal.2, "{log:?}");
        if let Some(parent) = parent {
            let around = of(parent, false);
            assert!(terminal.1 < around.0 && terminal.2 < around.2, "{log:?}");
        }
    }
    let runs = |heard: &Heard| match *heard {
        Heard::Begin(info, ..) | Heard::End(info, ..) => info.0,
    };
    let known = |run| opened.iter().any(|&(opened, _)| opened == run);
    assert!(log.iter().map(runs).all(known), "{log:?}");
}

const HOWS: [How; 3] = [How::End, How::Stop, How::Drop];

/// Modelled: a run and one in it are closed at once, each in any way, with one more in that which
/// nobody closes. The rule: each has one terminal event, in full, a child's before its parent's;
/// whoever waits gets his turn, and no run stays in the tree.
///
/// In `tree.rs`, with a closing that `abandon` does not look at, the inner run has two terminal events;
/// without `keys.reverse()` (the run itself taken out at the front), a parent's comes first. In
/// `closing.rs`, with `drop(closing)` in `ended`, so it does; without `node.forget()`, the tree is never
/// let go.
#[test]
fn runs_close_once_and_in_order() {
    for outer in HOWS {
        for inner in HOWS {
            explore::interrupted(3, move || {
                begin();
                own_runtime();
                let log = Log::new();
                let root = Guard::root(&log, 1);
                let child = root.child(&log, 2).unwrap();
                let forgotten = child.child(&log, 3).unwrap();
                drop(forgotten);
                let tree = Arc::downgrade(&root.0.tree);
                let other = thread::spawn(move || child.close(inner));
                root.close(outer);
                other.join().unwrap();
                end();
                closed_once(&log, &[(1, None), (2, Some(1)), (3, Some(2))]);
                assert!(tree.upgrade().is_none());
            });
        }
    }
}

/// Modelled: three runs, each in the one before, are closed from the inside, and whoever closes the inner two
/// stops waiting or never does wait. For the outermost one, so many closings wait for one another that it
/// has the others driven apart. The rule: as above.
///
/// In `closing.rs`, without `hand_on` in `apart`: a parent's terminal event comes before its child's.
/// Without `node.forget()` in `tree.rs`, the tree is never let go.
#[test]
fn runs_close_in_order_however_deep() {
    for outer in HOWS {
        for inner in [How::Stop, How::Drop] {
            explore::interrupted(1, move || {
                begin();
                own_runtime();
                let log = Log::new();
                let root = Guard::root(&log, 1);
                let child = root.child(&log, 2).unwrap();
                let grandchild = child.child(&log, 3).unwrap();
                let tree = Arc::downgrade(&root.0.tree);
                let other = thread::spawn(move || {
                    grandchild.close(inner);
                    child.close(inner);
                });
                root.close(outer);
                other.join().unwrap();
                end();
                closed_once(&log, &[(1, None), (2, Some(1)), (3, Some(2))]);
                assert!(tree.upgrade().is_none());
            });
        }
    }
}

/// Modelled: a run starts in one that is closed, and its start is on its way. The rule: it is either
/// refused, and nobody hears of it, or closed like any other.
///
/// In `closing.rs`, without `node.started.wait()`: a terminal event has a smaller number than the start.
/// In `tree.rs`, without `parent.closing.is_none()` in `adopt`: the parent's terminal event comes before
/// the child's.
#[test]
fn runs_start_in_one_that_closes() {
    for outer in HOWS {
        explore::interrupted(4, move || {
            begin();
            own_runtime();
            let log = Log::new();
            let root = Guard::root(&log, 1);
            let other = thread::spawn({
                let (root, log) = (root.clone(), log.clone());
                move || match root.child(&log, 2) {
                    Some(child) => {
                        child.close(How::End);
                        true
                    }
                    None => false,
                }
            });
            root.close(outer);
            let started = other.join().unwrap();
            end();
            let runs = [(1, None), (2, Some(1))];
            closed_once(&log, if started { &runs } else { &runs[..1] });
        });
    }
}

/// Modelled: nobody waits for a closing any more, and the runtime that it was handed on to is shut
/// down at any moment. The rule: it comes to its end all the same.
///
/// In `closing.rs`, without `set_off` in the drop of `WaitForClosing`, or in `driven.rs`, without
/// `spawn_on_own(future)` in the drop of `Background`: a run has no terminal event.
#[test]
fn closings_outlive_runtimes() {
    for how in [How::Stop, How::Drop] {
        explore::interrupted(4, move || {
            begin();
            own_runtime();
            let log = Log::new();
            let runtime = Handle::new(1);
            runtime.spawn({
                let log = log.clone();
                async move {
                    let root = Guard::root(&log, 1);
                    drop(root.child(&log, 2));
                    root.close(how);
                }
            });
            runtime.shut_down();
            end();
            let heard = !log.entries().is_empty();
            closed_once(
                &log,
                if heard {
                    &[(1, None), (2, Some(1))]
                } else {
                    &[]
                },
            );
        });
    }
}

/// Modelled: an event is emitted in a run that is closed. The rule: it is refused, or has a smaller
/// number than the terminal event.
///
/// In `tree.rs`, without `self.closed.store` in `close`: it has a greater one.
#[test]
fn nothing_has_a_number_after_the_end() {
    explore::all(|| {
        begin();
        own_runtime();
        let log = Log::new();
        let root = Guard::root(&log, 1);
        let other = thread::spawn({
            let root = root.clone();
            move || {
                let place = root.0.place();
                let route = place.registry.route::<Events>(0).unwrap();
                let text = deliver(route, &place, &View(&AnyEvent::Text), Prepared::default());
                block_on(text).is_ok()
            }
        });
        root.close(How::End);
        let delivered = other.join().unwrap();
        end();
        let number = |event| {
            log.entries().iter().find_map(|heard| match *heard {
                Heard::Begin(_, other, seq) if other == event => Some(seq),
                _ => None,
            })
        };
        assert_eq!(number(AnyEvent::Text).is_some(), delivered);
        assert!(number(AnyEvent::Text) < number(AnyEvent::End));
    });
}

/// Modelled: two close the same run. The rule: the first decides how.
///
/// In `tree.rs`, without `run.closing.is_none()` in `is_open`: it has two terminal events.
#[test]
fn the_first_to_close_a_run_decides() {
    explore::interrupted(4, || {
        begin();
        own_runtime();
        let log = Log::new();
        let root = Guard::root(&log, 1);
        let other = thread::spawn({
            let root = root.clone();
            move || root.close(How::Drop)
        });
        root.close(How::End);
        other.join().unwrap();
        end();
        closed_once(&log, &[(1, None)]);
    });
}
