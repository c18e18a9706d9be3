//! A lane: the ordered queue through which one handler is called for one run tree (for all of them,
//! if it is exclusive) away from its emissions, one event after another: a sync method by whatever
//! thread has the lane at the moment, an async one in a task that has it.

use std::fmt;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::call::contained;
use super::ledger::Receipt;
use super::line::Line;
use super::runtime::Handle;
use super::sync::{Mutex, lock};
use super::{room, task, workers};
use crate::BoxFuture;
use crate::handler::Queue;

/// A call of a handler with an event.
pub(super) enum Job {
    /// Of a sync method.
    Call(Call),
    /// Of an async method, on this runtime.
    Task(Option<Handle>, Start),
}

pub(super) type Call = Box<dyn FnOnce(Numbered) + Send>;
pub(super) type Start = Box<dyn FnOnce(Numbered) -> BoxFuture<'static, ()> + Send>;

/// What an event is given where it is queued.
pub(super) struct Numbered {
    pub(super) seq: u64,
    pub(super) receipt: Receipt,
}

/// After so many jobs a lane goes to the end of the line, if others wait.
pub(super) const JOBS_IN_A_ROW: usize = 64;

#[derive(Default)]
pub(crate) struct Lane {
    state: Mutex<State>,
    /// The places that are free, if the lane is a bounded queue.
    places: Mutex<Option<(Queue, Arc<Semaphore>)>>,
}

#[derive(Default)]
struct State {
    jobs: Line<(Job, Numbered)>,
    /// Whether somebody has the lane, or will have it.
    scheduled: bool,
}

/// A place in a lane. Its job may run when it is dropped.
#[must_use]
pub(crate) struct Ticket {
    lane: Arc<Lane>,
    number: u64,
}

/// What is next in a lane, for a worker or for a task that has it.
pub(super) enum Next<T> {
    Job(T, Numbered),
    /// The lane goes on elsewhere.
    Elsewhere,
    /// Nothing: the lane is let go.
    Nothing,
}

impl Lane {
    /// Queues a job, which stays where it is while the ticket lives.
    pub(super) fn push(self: Arc<Self>, numbered: Numbered, job: Job) -> Ticket {
        // A job is queued before the inline handlers are called for its event, and runs after them.
        let held = true;
        let number = lock(&self.state).jobs.push((job, numbered), held);
        Ticket { lane: self, number }
    }

    /// The free places of the lane, as a queue like this.
    pub(super) fn places(&self, queue: Queue) -> Arc<Semaphore> {
        let mut places = lock(&self.places);
        // A handler that is gone may have left the lane to one that is at its address now.
        let kept = places
            .take()
            .filter(|kept| kept.0 == queue || is_wanted(kept));
        let (_, free) = places.insert(kept.unwrap_or_else(|| (queue, room::places(queue))));
        free.clone()
    }

    /// Whether there is nothing in it, and nobody at it or about to come.
    pub(super) fn is_idle(&self) -> bool {
        let wanted = lock(&self.places).as_ref().is_some_and(is_wanted);
        let state = lock(&self.state);
        state.jobs.is_empty() && !state.scheduled && !wanted
    }

    /// Runs jobs until none is left that may run here, or the lane's turn is over. Returns whether
    /// it has to have another turn.
    pub(super) fn run(self: &Arc<Self>) -> bool {
        for _ in 0..JOBS_IN_A_ROW {
            match self.next(Job::call) {
                Next::Job(call, numbered) => run(call, numbered),
                Next::Elsewhere => {
                    self.go_on();
                    return false;
                }
                Next::Nothing => return false,
            }
        }
        true
    }

    /// Takes the job in front, if it is of this sort.
    pub(super) fn next<T>(&self, sort: impl FnOnce(Job) -> Result<T, Job>) -> Next<T> {
        let mut state = lock(&self.state);
        let Some((job, numbered)) = state.jobs.take() else {
            state.scheduled = false;
            return Next::Nothing;
        };
        match sort(job) {
            Ok(job) => Next::Job(job, numbered),
            Err(job) => {
                state.jobs.put_back((job, numbered));
                Next::Elsewhere
            }
        }
    }

    /// Gives the lane to a worker or a task, whichever is next.
    pub(super) fn go_on(self: &Arc<Self>) {
        let runtime = match lock(&self.state).jobs.front() {
            Some((Job::Task(runtime, _), _)) => Some(runtime.clone()),
            _ => None,
        };
        match runtime {
            Some(runtime) => task::spawn(self.clone(), runtime.as_ref()),
            None => workers::schedule(self.clone()),
        }
    }
}

/// Whether anybody has a place in the queue, or is about to.
fn is_wanted((_, free): &(Queue, Arc<Semaphore>)) -> bool {
    Arc::strong_count(free) > 1
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").finish_non_exhaustive()
    }
}

impl Job {
    fn call(self) -> Result<Call, Self> {
        match self {
            Self::Call(call) => Ok(call),
            task @ Self::Task(..) => Err(task),
        }
    }

    pub(super) fn task(self) -> Result<(Option<Handle>, Start), Self> {
        match self {
            Self::Task(runtime, start) => Ok((runtime, start)),
            call @ Self::Call(_) => Err(call),
        }
    }
}

/// A job catches the panics of the handler's method. This is for what else a user's code does here,
/// such as an executor that is woken.
fn run(call: Call, numbered: Numbered) {
    contained(|| call(numbered));
}

impl State {
    /// Takes the lane, if nobody has it and there is something to run.
    fn claim(&mut self) -> bool {
        let free = self.jobs.is_ready() && !self.scheduled;
        self.scheduled |= free;
        free
    }
}

impl Ticket {
    /// Lets the job go, and leaves it to whoever comes to the lane: that somebody does, if there are
    /// others in it.
    pub(super) fn release(&self) {
        let mut state = lock(&self.lane.state);
        state.jobs.release(self.number);
        if state.jobs.len() > 1 && state.claim() {
            drop(state);
            self.lane.go_on();
        }
    }

    /// Runs the job, which was let go, on this thread; unless somebody has the lane or there is another
    /// in front of it. Then the lane comes to it. What comes after it is for others.
    pub(super) fn run_here(self) {
        let mut state = lock(&self.lane.state);
        if !state.jobs.is_next(self.number) || !state.claim() {
            return;
        }
        drop(state);
        if let Next::Job(call, numbered) = self.lane.next(Job::call) {
            run(call, numbered);
        }
        lock(&self.lane.state).scheduled = false;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = lock(&self.lane.state);
        state.jobs.release(self.number);
        // What is released behind a job that is not is scheduled when that one is.
        if state.claim() {
            drop(state);
            self.lane.go_on();
        }
    }
}
