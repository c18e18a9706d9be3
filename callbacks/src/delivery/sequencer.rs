//! The order of one run tree: the number of an emission is taken, and the lanes are filled, under
//! the tree's one lock, so that every lane holds its events in the order of their numbers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::lane::{Job, Lane, Ticket};
use super::lock;

/// So many lanes a tree keeps without looking for idle ones.
const KEPT: usize = 16;

/// Numbers the emissions of a run tree and owns its lanes.
#[derive(Default)]
pub(crate) struct Sequencer {
    last: AtomicU64,
    lanes: Mutex<Lanes>,
}

#[derive(Default)]
struct Lanes {
    /// By the id of the handler's entry.
    by_entry: HashMap<usize, Arc<Lane>>,
    /// How many there may be before idle ones are looked for: handlers come and go.
    enough: usize,
}

impl Sequencer {
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

    /// The number of an emission, with a job queued for each of these handlers. The jobs run once
    /// their tickets are gone.
    pub(crate) fn enqueue(
        &self,
        closed: Option<&AtomicBool>,
        jobs: Vec<(usize, Job)>,
    ) -> Option<(u64, Vec<Ticket>)> {
        let mut tickets = Vec::with_capacity(jobs.len());
        let mut lanes = lock(&self.lanes);
        let seq = self.number(closed)?;
        for (id, job) in jobs {
            tickets.push(lanes.of(id).push(seq, job));
        }
        Some((seq, tickets))
    }
}

impl Lanes {
    fn of(&mut self, id: usize) -> &Arc<Lane> {
        if !self.by_entry.contains_key(&id) && self.by_entry.len() >= self.enough {
            // Nothing is lost with an idle lane: it is filled under the lock that is held here.
            self.by_entry.retain(|_, lane| !lane.is_idle());
            self.enough = KEPT.max(2 * self.by_entry.len());
        }
        self.by_entry.entry(id).or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// Handlers of one request each, emitted to from outside any run, must not pile up.
    #[test]
    fn idle_lanes_go() {
        let sequencer = Sequencer::default();
        for id in 0..10 * KEPT {
            let job: Job = Box::new(|_| {});
            let queued = sequencer.enqueue(None, vec![(id, job)]);
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
