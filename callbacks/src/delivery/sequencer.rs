//! The order of one run tree: the number of an emission is taken, and the lanes are filled, under
//! the tree's one lock, so that every lane holds its events in the order of their numbers.

use std::any::Any;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};

use super::blocking::is_alone;
use super::deferred::Deferred;
use super::dispatcher::{Background, Entry};
use super::lane::{Job, Lane, Numbered, Ticket};
use super::ledger::{Ledger, Receipt};
use super::lock;
use super::room::{self, Room};
use crate::EventSet;

/// So many lanes a tree keeps without looking for idle ones.
const KEPT: usize = 16;

/// Numbers the emissions of a run tree and owns its lanes.
pub(crate) struct Sequencer {
    last: AtomicU64,
    lanes: Mutex<Lanes>,
    pub(crate) deferred: Arc<Deferred>,
    /// The runtime that the tree was started on.
    pub(crate) home: Option<Handle>,
    /// When the event that is replayed was recorded. What happens now has the time that it is now.
    recorded_at: Option<Mutex<SystemTime>>,
}

#[derive(Default)]
struct Lanes {
    /// By the id of the handler's entry.
    by_entry: BTreeMap<usize, Arc<Lane>>,
    /// How many there may be before idle ones are looked for: handlers come and go.
    enough: usize,
}

/// An event for one handler, to be queued.
pub(super) struct Addressed<'a> {
    pub(super) ledger: &'a Arc<Ledger>,
    /// If there is one already.
    pub(super) receipt: Option<Receipt>,
    pub(super) to: To,
}

pub(super) enum To {
    /// The lane of this handler in the tree.
    Lane(Whose, Job),
    /// A stream of records. It is called under the lock of the tree, and gives back what is to be
    /// dropped outside: that wakes whoever reads.
    Stream(Box<dyn FnOnce(Numbered) -> Box<dyn Any + Send> + Send>),
    /// Nowhere: there is no room.
    Nowhere,
}

/// What is queued, until the event has reached its handlers. To drop it wakes others, so that is not
/// done under a lock.
#[allow(dead_code, reason = "it is held, that is all")]
pub(super) enum Held {
    InLane(Ticket),
    Written(Box<dyn Any + Send>),
    Lost(Numbered),
}

impl Held {
    /// Lets go of it, and leaves the job to whoever comes to the lane.
    pub(super) fn release(&self) {
        if let Self::InLane(ticket) = self {
            ticket.release();
        }
    }

    /// Runs the job on this thread, unless somebody has come to the lane.
    pub(super) fn run_here(self) {
        if let Self::InLane(ticket) = self {
            ticket.run_here();
        }
    }
}

/// The id of a handler's entry, and its own lane if it is exclusive.
pub(super) type Whose = (usize, Option<Arc<Lane>>);

impl Sequencer {
    pub(crate) fn new() -> Arc<Self> {
        Self::of(None)
    }

    /// That of a tree whose events were recorded.
    pub(crate) fn replaying(first: SystemTime) -> Arc<Self> {
        Self::of(Some(Mutex::new(first)))
    }

    fn of(recorded_at: Option<Mutex<SystemTime>>) -> Arc<Self> {
        // Where a thread waits that is alone, our own will be as good.
        let home = (!is_alone()).then(Handle::try_current).and_then(Result::ok);
        Arc::new(Self {
            last: AtomicU64::new(0),
            lanes: Mutex::default(),
            deferred: Deferred::new(home.clone()),
            home,
            recorded_at,
        })
    }

    /// The number of an emission that fills no lane; `None` if the run is closed.
    ///
    /// First the number, then the question whether the run is closed: whoever closes it does it the
    /// other way round, so no event of a run has a number beyond that of its terminal event.
    #[inline]
    pub(crate) fn number(&self, closed: Option<&AtomicBool>) -> Option<u64> {
        let seq = self.last.fetch_add(1, Ordering::SeqCst) + 1;
        let closed = closed.is_some_and(|closed| closed.load(Ordering::SeqCst));
        (!closed).then_some(seq)
    }

    /// Has the next emission get this number, unless it was given already: numbers only grow. It, and what
    /// is replayed because of it, happened then.
    pub(crate) fn skip_to(&self, seq: u64, time: SystemTime) {
        self.last.fetch_max(seq.saturating_sub(1), Ordering::SeqCst);
        if let Some(recorded_at) = &self.recorded_at {
            *lock(recorded_at) = time;
        }
    }

    /// When the event that is replayed was recorded, if one is.
    #[inline]
    pub(super) fn recorded_at(&self) -> Option<SystemTime> {
        let recorded_at = self.recorded_at.as_ref()?;
        Some(*lock(recorded_at))
    }

    /// The number of an emission that is queued for these handlers. What is in a lane runs once its
    /// ticket is gone.
    pub(super) fn enqueue(
        &self,
        closed: Option<&AtomicBool>,
        capacity: usize,
        fill: impl FnOnce(&mut Queues<'_>),
    ) -> Option<(u64, Vec<Held>)> {
        let held = Vec::with_capacity(capacity);
        let lanes = &mut lock(&self.lanes);
        let seq = self.number(closed)?;
        let mut queues = Queues { lanes, seq, held };
        fill(&mut queues);
        Some((seq, queues.held))
    }

    /// Room in the queues of these handlers; or, if one of them has to be waited for, their places.
    pub(super) fn try_room<S: EventSet>(
        &self,
        queues: &[Background<S>],
    ) -> Result<Vec<Room>, Vec<Arc<Semaphore>>> {
        // To give it back wakes others, so that is done when the lock is gone.
        let mut room = Vec::with_capacity(queues.len());
        let mut lanes = lock(&self.lanes);
        for to in queues {
            match room::try_acquire(to, lanes.places(to)) {
                Some(there) => room.push(there),
                None => return Err(queues.iter().map(|to| lanes.places(to)).collect()),
            }
        }
        Ok(room)
    }

    /// Ready when what is queued for this handler now is done; `None` if nothing is.
    pub(super) fn drained<S: EventSet>(&self, to: &Entry<S>) -> Option<oneshot::Receiver<()>> {
        let whose = to.whose();
        let mut lanes = lock(&self.lanes);
        let lane = lanes.of(&whose);
        if lane.is_idle() {
            return None;
        }
        let (done, is_done) = oneshot::channel();
        let job = Job::Call(Box::new(|_| {
            // Nobody waits any longer.
            let _ = done.send(());
        }));
        // It is no event, so it is in no report.
        let receipt = Ledger::new(Cow::Borrowed(""), false).receipt();
        let seq = self.last.load(Ordering::SeqCst);
        let ticket = lane.push(Numbered { seq, receipt }, job);
        drop(lanes);
        drop(ticket);
        Some(is_done)
    }

    /// Waits for what is put off in the tree.
    pub(crate) async fn turn(&self) {
        if self.deferred.is_pending()
            && let Some(turn) = self.deferred.turn()
        {
            turn.await;
        }
    }
}

/// The queues of a run tree, while they are filled with one event.
pub(super) struct Queues<'a> {
    lanes: &'a mut Lanes,
    seq: u64,
    held: Vec<Held>,
}

impl Queues<'_> {
    pub(super) fn add(&mut self, event: Addressed<'_>) {
        let receipt = event.receipt.unwrap_or_else(|| event.ledger.receipt());
        let seq = self.seq;
        let numbered = Numbered { seq, receipt };
        self.held.push(match event.to {
            To::Lane(whose, job) => Held::InLane(self.lanes.of(&whose).push(numbered, job)),
            To::Stream(write) => Held::Written(write(numbered)),
            To::Nowhere => Held::Lost(numbered),
        });
    }
}

impl Lanes {
    fn places<S: EventSet>(&mut self, to: &Background<S>) -> Arc<Semaphore> {
        match &to.entry.sink {
            Some(sink) => sink.places.clone(),
            None => self.of(&to.entry.whose()).places(to.queue),
        }
    }

    fn of(&mut self, (id, own): &Whose) -> Arc<Lane> {
        if let Some(lane) = own.as_ref().or_else(|| self.by_entry.get(id)) {
            return lane.clone();
        }
        if self.by_entry.len() >= self.enough {
            // Nothing is lost with an idle lane: it is filled under the lock that is held here.
            self.by_entry.retain(|_, lane| !lane.is_idle());
            self.enough = KEPT.max(2 * self.by_entry.len());
        }
        self.by_entry.entry(*id).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// Handlers of one request each, emitted to from outside any run, must not pile up.
    #[test]
    fn idle_lanes_go() {
        let sequencer = Sequencer::new();
        let ledger = Ledger::new("test".into(), true);
        for id in 0..10 * KEPT {
            let to = To::Lane((id, None), Job::Call(Box::new(|_| {})));
            let (ledger, receipt) = (&ledger, None);
            let event = Addressed {
                ledger,
                receipt,
                to,
            };
            let queued = sequencer.enqueue(None, 1, |queues| queues.add(event));
            drop(queued);
            while lock(&sequencer.lanes)
                .by_entry
                .values()
                .any(|lane| !lane.is_idle())
            {
                thread::yield_now();
            }
        }
        assert!(lock(&sequencer.lanes).by_entry.len() <= KEPT);
    }
}
