//! A lane: the ordered queue through which one sync handler is called for one run tree, one event
//! after another, on whatever worker thread has the lane at the moment.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::call::quietly;
use super::{lock, workers};

/// A call of a handler with an event, which is told its number.
pub(super) type Job = Box<dyn FnOnce(u64) + Send>;

/// After so many jobs a lane goes to the end of the line, if others wait.
const TURN: usize = 64;

#[derive(Default)]
pub(super) struct Lane {
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Slot>,
    /// How many jobs have left the queue: the ticket of the job in front.
    taken: u64,
    /// Whether a worker has the lane, or will have it.
    scheduled: bool,
}

struct Slot {
    seq: u64,
    job: Job,
    /// A job is queued before the inline handlers are called for its event, and runs after them.
    released: bool,
}

/// A place in a lane. Its job may run when it is dropped.
#[must_use]
pub(crate) struct Ticket {
    lane: Arc<Lane>,
    number: u64,
}

impl Lane {
    /// Queues a job, which stays where it is while the ticket lives.
    pub(super) fn push(self: &Arc<Self>, seq: u64, job: Job) -> Ticket {
        let mut queue = lock(&self.queue);
        let number = queue.taken + queue.jobs.len() as u64;
        queue.jobs.push_back(Slot {
            seq,
            job,
            released: false,
        });
        drop(queue);
        Ticket {
            lane: self.clone(),
            number,
        }
    }

    /// Whether there is nothing in it, and no worker at it.
    pub(super) fn is_idle(&self) -> bool {
        let queue = lock(&self.queue);
        queue.jobs.is_empty() && !queue.scheduled
    }

    /// Runs jobs until none is left that may run, or its turn is over. Returns whether it has to
    /// have another turn.
    pub(super) fn run(&self) -> bool {
        for _ in 0..TURN {
            let Some(Slot { seq, job, .. }) = lock(&self.queue).next() else {
                return false;
            };
            // A job catches the panics of the handler's method. This is for what else a user's code
            // does here, such as dropping the handler.
            quietly(|| job(seq));
        }
        true
    }
}

impl Queue {
    fn next(&mut self) -> Option<Slot> {
        if !self.ready() {
            self.scheduled = false;
            return None;
        }
        self.taken += 1;
        self.jobs.pop_front()
    }

    fn ready(&self) -> bool {
        self.jobs.front().is_some_and(|slot| slot.released)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut queue = lock(&self.lane.queue);
        let index = usize::try_from(self.number - queue.taken);
        if let Some(slot) = index.ok().and_then(|index| queue.jobs.get_mut(index)) {
            slot.released = true;
        }
        // What is released behind a job that is not is scheduled when that one is.
        if queue.ready() && !queue.scheduled {
            queue.scheduled = true;
            drop(queue);
            workers::schedule(self.lane.clone());
        }
    }
}
