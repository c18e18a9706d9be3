//! The gate of a stalling handler: calls stop there, on a thread or at an await, until they are let
//! go.

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex};

use tokio::sync::Notify;

use super::lock;

/// The other end of [`Faulty::stall`](super::Faulty::stall), where the example is: says when a call
/// stalls, and lets it go.
///
/// Dropped, it lets everything go for good, so that a test that fails does not hang. (Which is why
/// it must be kept: `let (faulty, _) = ..` drops it right there.)
#[must_use = "dropped, it lets everything go: nothing will stall"]
pub struct Stall(pub(super) Arc<Gate>);

impl Stall {
    /// Waits until a call stalls. It must not be waited for on the thread that stalls, as that of an
    /// inline handler.
    pub async fn entered(&self) {
        self.0.reached(|state| state.stalled > 0).await;
    }

    /// How many calls stall now.
    #[must_use]
    pub fn stalled(&self) -> usize {
        lock(&self.0.state).stalled
    }

    /// Lets all calls go that stall now. Later ones stall again.
    pub fn release(&self) {
        self.0.change(State::release);
    }
}

impl Drop for Stall {
    fn drop(&mut self) {
        self.0.change(|state| {
            state.open = true;
            state.release();
        });
    }
}

impl fmt::Debug for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stall")
            .field("stalled", &self.stalled())
            .finish()
    }
}

#[derive(Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    /// For those that wait on a thread.
    threads: Condvar,
    /// For those that wait at an await.
    tasks: Notify,
}

#[derive(Default)]
struct State {
    /// How often all were let go.
    round: u64,
    /// How many stall in this round.
    stalled: usize,
    /// Nothing stalls any more.
    open: bool,
}

impl State {
    fn release(&mut self) {
        self.round += 1;
        self.stalled = 0;
    }
}

impl Gate {
    /// Stops the thread until it is let go.
    pub(super) fn block(&self) {
        let Some(stalled) = self.enter() else { return };
        let state = lock(&self.state);
        // A poisoned lock is an open gate: better than to hang.
        drop(
            self.threads
                .wait_while(state, |state| state.round == stalled.round),
        );
    }

    /// Waits until it is let go.
    pub(super) async fn wait(&self) {
        let Some(stalled) = self.enter() else { return };
        self.reached(|state| state.round != stalled.round).await;
    }

    /// `None`: nothing stalls any more.
    fn enter(&self) -> Option<Stalled<'_>> {
        let entered = self.change(|state| {
            state.stalled += usize::from(!state.open);
            (!state.open).then_some(state.round)
        });
        entered.map(|round| Stalled { gate: self, round })
    }

    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let changed = change(&mut lock(&self.state));
        self.threads.notify_all();
        self.tasks.notify_waiters();
        changed
    }

    async fn reached(&self, condition: impl Fn(&State) -> bool) {
        loop {
            let mut changed = pin!(self.tasks.notified());
            // From here on it hears of changes.
            changed.as_mut().enable();
            if condition(&lock(&self.state)) {
                return;
            }
            changed.await;
        }
    }
}

/// A call that stalls. It may be dropped before it is let go, as by a timeout.
struct Stalled<'g> {
    gate: &'g Gate,
    round: u64,
}

impl Drop for Stalled<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.gate.state);
        if state.round == self.round {
            state.stalled -= 1;
        }
    }
}
