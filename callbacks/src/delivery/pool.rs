//! A pool of threads that call sync handlers. They take whole lanes, and leave when there is nothing
//! to do: at most one lingers.
//!
//! Only a worker changes the count of idle workers, and whoever schedules a lane starts a worker if
//! more lanes are ready than workers idle. The other way round, two lanes scheduled at once would
//! count on the same idle worker.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::lane::Lane;
use super::sync::{Condvar, Mutex, lock, thread};

/// How long one idle worker waits for the next lane: longer than a model takes for a token.
const LINGER: Duration = Duration::from_millis(200);

pub(super) struct Pool {
    /// How many threads there are at most.
    most: usize,
    state: Mutex<State>,
    wake: Condvar,
}

struct State {
    ready: VecDeque<Arc<Lane>>,
    workers: usize,
    idle: usize,
}

impl Pool {
    pub(super) const fn new(most: usize) -> Self {
        let state = State {
            ready: VecDeque::new(),
            workers: 0,
            idle: 0,
        };
        Self {
            most,
            state: Mutex::new(state),
            wake: Condvar::new(),
        }
    }

    /// Has a worker run the lane.
    pub(super) fn schedule(&'static self, lane: Arc<Lane>) {
        let mut state = lock(&self.state);
        state.ready.push_back(lane);
        if state.idle >= state.ready.len() {
            drop(state);
            self.wake.notify_one();
            return;
        }
        if state.workers == self.most {
            return;
        }
        state.workers += 1;
        drop(state);
        let started = thread::Builder::new()
            .name("callbacks-lane".to_owned())
            .spawn(|| self.work());
        if let Err(error) = started {
            self.no_thread(&error);
        }
    }

    /// The system gives no more threads. Where no worker is left to come to the lanes in time, they
    /// are run right here: late and in the way is better than never.
    fn no_thread(&self, error: &std::io::Error) {
        tracing::warn!(
            error = error as &dyn std::error::Error,
            "no thread for callback handlers"
        );
        let mut state = lock(&self.state);
        state.workers -= 1;
        while state.workers == 0 {
            let Some(lane) = state.ready.pop_front() else {
                return;
            };
            drop(state);
            while lane.run() {}
            state = lock(&self.state);
        }
    }

    fn work(&self) {
        let mut state = lock(&self.state);
        loop {
            if let Some(lane) = state.ready.pop_front() {
                drop(state);
                let again = lane.run();
                state = lock(&self.state);
                if again {
                    state.ready.push_back(lane);
                }
                continue;
            }
            if state.idle > 0 {
                break;
            }
            state.idle += 1;
            let (woken, wait) = self
                .wake
                .wait_timeout_while(state, LINGER, |state| state.ready.is_empty())
                .unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if wait.timed_out() && state.ready.is_empty() {
                break;
            }
        }
        state.workers -= 1;
    }
}
