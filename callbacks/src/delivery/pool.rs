//! A pool of threads that call sync handlers. One takes the lanes that are ready in turn, for most
//! methods return at once, and to wake or start a thread costs more than they do. Another watches it:
//! where lanes wait for longer than a moment, there will be more threads.
//!
//! | the lanes that are ready | who comes to them |
//! |---|---|
//! | while a worker is idle | that one, which was woken for the first of them |
//! | while all workers are busy | whoever is done first; until then the watcher looks at them |
//! | while the watcher is alone | the watcher |
//! | for longer than a moment | the watcher, and more with it; another one watches |
//!
//! Threads leave when there is nothing to do: at most one stays that is idle, and one that watches.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::call::quietly;
use super::lane::Lane;
use super::sync::{Condvar, Mutex, MutexGuard, lock, thread, wait_while};
use super::workers;

/// How long a thread stays that has nothing to do: longer than a model takes for a token.
const LINGER: Duration = Duration::from_millis(200);

/// How long lanes wait for workers that are busy. To start a thread takes a third of it; the timers of
/// systems are not much finer.
const MOMENT: Duration = Duration::from_micros(100);

pub(super) struct Pool {
    /// How many threads there are at most.
    most: usize,
    state: Mutex<State>,
    wake_worker: Condvar,
    wake_watcher: Condvar,
}

struct State {
    ready: VecDeque<Arc<Lane>>,
    /// How many lanes were taken out of it.
    taken: u64,
    /// All of them, with the one that is idle and the one that watches.
    threads: usize,
    /// Whether a worker waits for a lane. It does only where none is ready.
    idle: bool,
    watcher: Watcher,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Watcher {
    Nobody,
    Asleep,
    Awake,
}

/// What a thread begins with.
#[derive(Clone, Copy)]
enum Role {
    Works,
    Watches,
}

impl Pool {
    pub(super) const fn new(most: usize) -> Self {
        let state = State {
            ready: VecDeque::new(),
            taken: 0,
            threads: 0,
            idle: false,
            watcher: Watcher::Nobody,
        };
        Self {
            most,
            state: Mutex::new(state),
            wake_worker: Condvar::new(),
            wake_watcher: Condvar::new(),
        }
    }

    /// Has a worker run the lane.
    pub(super) fn schedule(&'static self, lane: Arc<Lane>) {
        let mut state = lock(&self.state);
        state.ready.push_back(lane);
        if state.idle {
            // It was woken for the first, and takes the others, too.
            if state.ready.len() == 1 {
                drop(state);
                self.wake_worker.notify_one();
            }
        } else if state.threads == 0 {
            state.threads = 1;
            drop(state);
            self.start(Role::Works);
        } else {
            self.alert_watcher(state);
        }
    }

    /// Has the watcher look after the lanes that are ready.
    fn alert_watcher(&'static self, mut state: MutexGuard<'_, State>) {
        match state.watcher {
            Watcher::Awake => {}
            Watcher::Asleep => {
                state.watcher = Watcher::Awake;
                drop(state);
                self.wake_watcher.notify_one();
            }
            // Where there are all the threads that there may be, nothing comes of it.
            Watcher::Nobody if state.threads == self.most => {}
            Watcher::Nobody => {
                state.watcher = Watcher::Awake;
                state.threads += 1;
                drop(state);
                self.start(Role::Watches);
            }
        }
    }

    /// Starts a thread that was counted already.
    fn start(&'static self, role: Role) {
        let started = thread::Builder::new()
            .name("callbacks-lane".to_owned())
            .spawn(move || self.run(role));
        if let Err(error) = started {
            self.no_thread(role, &error);
        }
    }

    /// The system gives no more threads. Where there is none at all, the lanes are run right here: in the
    /// way is better than never. Otherwise they wait for a worker, however long its method blocks.
    fn no_thread(&'static self, role: Role, error: &std::io::Error) {
        let mut state = lock(&self.state);
        state.threads -= 1;
        if let Role::Watches = role {
            state.watcher = Watcher::Nobody;
        }
        while state.threads == 0
            && let Some(lane) = state.ready.pop_front()
        {
            drop(state);
            while lane.run() {}
            state = lock(&self.state);
        }
        drop(state);
        quietly(|| {
            tracing::warn!(
                error = error as &dyn std::error::Error,
                "no thread for callback handlers"
            );
        });
    }

    fn run(&'static self, role: Role) {
        let mut state = lock(&self.state);
        let mut needed = true;
        if let Role::Watches = role {
            (state, needed) = self.watch(state);
        }
        while needed {
            state = self.work(state);
            (state, needed) = match state.watcher {
                _ if !state.idle => self.linger(state),
                Watcher::Nobody => self.watch(state),
                _ => (state, false),
            };
        }
        state.threads -= 1;
    }

    /// Runs lanes until none is ready.
    fn work<'s>(&'static self, mut state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        while let Some(lane) = state.ready.pop_front() {
            state.taken += 1;
            if state.ready.is_empty() {
                drop(state);
            } else {
                self.alert_watcher(state);
            }
            let again = lane.run().then_some(lane);
            state = lock(&self.state);
            state.ready.extend(again);
        }
        state
    }

    /// Waits for a lane. Returns whether there is one.
    fn linger<'s>(
        &'static self,
        mut state: MutexGuard<'s, State>,
    ) -> (MutexGuard<'s, State>, bool) {
        state.idle = true;
        state = wait_while(&self.wake_worker, state, LINGER, |state| {
            state.ready.is_empty()
        });
        state.idle = false;
        let needed = !state.ready.is_empty();
        (state, needed)
    }

    /// Looks after the lanes that are ready while all workers are busy. Returns whether this thread
    /// is to work, too: there is another watcher then, or will be.
    fn watch<'s>(&'static self, mut state: MutexGuard<'s, State>) -> (MutexGuard<'s, State>, bool) {
        loop {
            if state.ready.is_empty() {
                state.watcher = Watcher::Asleep;
                let asleep = |state: &mut State| state.watcher == Watcher::Asleep;
                state = wait_while(&self.wake_watcher, state, LINGER, asleep);
                if state.watcher == Watcher::Asleep {
                    state.watcher = Watcher::Nobody;
                    return (state, false);
                }
            }
            // The workers have left.
            if state.busy() == 0 && !state.idle {
                state.watcher = Watcher::Nobody;
                return (state, true);
            }
            let (before, ready) = (state.taken, state.ready.len() as u64);
            state = wait_while(&self.wake_watcher, state, MOMENT, |_| true);
            let taken = state.taken - before;
            if taken == 0 && !state.ready.is_empty() {
                state.watcher = Watcher::Nobody;
                return (self.grow(state), true);
            }
            if taken < ready && state.busy() < workers::processors() {
                state.watcher = Watcher::Nobody;
                return (state, true);
            }
        }
    }

    /// Makes the workers that are busy four times as many, with this thread, which is one now.
    fn grow<'s>(&'static self, mut state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        let others = state.ready.len() - 1;
        let free = self.most - state.threads;
        let stuck = state.busy().saturating_sub(1);
        let more = (3 * stuck).saturating_sub(1).min(others).min(free);
        state.threads += more;
        drop(state);
        (0..more).for_each(|_| self.start(Role::Works));
        lock(&self.state)
    }
}

impl State {
    /// How many workers there are that run a lane.
    fn busy(&self) -> usize {
        let watcher = usize::from(self.watcher != Watcher::Nobody);
        self.threads - watcher - usize::from(self.idle)
    }
}
