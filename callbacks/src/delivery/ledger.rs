//! What became of the events of one handler: how many are on their way, and how many went which way.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::collections::btree_map::IntoValues;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::sync::{Mutex, lock};
use super::wakers::{Wakers, wake};

/// The counts of one registered handler.
pub(crate) struct Ledger {
    name: Cow<'static, str>,
    /// Whether a flush waits for what is on its way: not, if that is for somebody to read.
    waited_for: bool,
    state: Mutex<State>,
}

/// How many events went which way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) delivered: u64,
    pub(crate) failed: u64,
    pub(crate) timed_out: u64,
    pub(crate) dropped: u64,
    pub(crate) pending: u64,
}

#[derive(Default)]
struct State {
    counts: Counts,
    /// How many receipts are out, by the barrier that they came before; the oldest first.
    out: VecDeque<u64>,
    /// The barrier of the oldest.
    oldest: u64,
    /// Those who wait at a barrier.
    waiting: Wakers,
}

/// What did not go well.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trouble {
    /// An error or a panic.
    Failed,
    /// The wait for it was over before it was.
    TimedOut,
    /// Nobody waited for it any longer, or there was no room for it.
    Dropped,
}

impl Ledger {
    pub(crate) fn new(name: Cow<'static, str>, waited_for: bool) -> Arc<Self> {
        let state = Mutex::default();
        Arc::new(Self {
            name,
            waited_for,
            state,
        })
    }

    pub(crate) fn is_waited_for(&self) -> bool {
        self.waited_for
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Counts an event that is on its way until the receipt is gone.
    pub(crate) fn receipt(self: &Arc<Self>) -> Receipt {
        let barrier = lock(&self.state).send();
        Receipt {
            ledger: self.clone(),
            barrier,
            fate: Fate::Lost,
        }
    }

    /// Counts an event that did not arrive as it should.
    pub(crate) fn count(&self, trouble: Trouble) {
        let counts = &mut lock(&self.state).counts;
        *match trouble {
            Trouble::Failed => &mut counts.failed,
            Trouble::TimedOut => &mut counts.timed_out,
            Trouble::Dropped => &mut counts.dropped,
        } += 1;
    }

    pub(crate) fn counts(&self) -> Counts {
        let state = lock(&self.state);
        let pending = state.out.iter().sum();
        Counts {
            pending,
            ..state.counts
        }
    }

    /// Waits for all receipts that are out when this is called, and for no later ones.
    pub(crate) fn settled(self: &Arc<Self>) -> Settled {
        let mut state = lock(&self.state);
        Settled {
            ledger: self.clone(),
            barrier: state.barrier(),
            waiter: state.waiting.number(),
        }
    }
}

impl State {
    fn send(&mut self) -> u64 {
        match self.out.back_mut() {
            Some(out) => *out += 1,
            None => self.out.push_back(1),
        }
        self.newest()
    }

    fn newest(&self) -> u64 {
        self.oldest + (self.out.len() as u64).saturating_sub(1)
    }

    /// What is sent from now on comes behind this.
    fn barrier(&mut self) -> u64 {
        if self.out.back() != Some(&0) {
            self.out.push_back(0);
        }
        let barrier = self.newest();
        self.advance();
        barrier
    }

    /// Forgets the barriers that nothing comes before any more.
    fn advance(&mut self) -> bool {
        let before = self.oldest;
        while self.out.len() > 1 && self.out.front() == Some(&0) {
            self.out.pop_front();
            self.oldest += 1;
        }
        self.oldest != before
    }

    /// Gives those who are to be woken, if there are any.
    fn settle(&mut self, barrier: u64, fate: Fate) -> Option<IntoValues<u64, Waker>> {
        match fate {
            Fate::Delivered => self.counts.delivered += 1,
            Fate::Lost => self.counts.dropped += 1,
            Fate::Counted => {}
        }
        let behind = usize::try_from(barrier - self.oldest);
        if let Some(out) = behind.ok().and_then(|behind| self.out.get_mut(behind)) {
            *out -= 1;
        }
        self.advance().then(|| self.waiting.take())
    }
}

/// Ready when nothing is out any more from before a barrier.
pub(crate) struct Settled {
    ledger: Arc<Ledger>,
    barrier: u64,
    waiter: u64,
}

impl Future for Settled {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let mut state = lock(&self.ledger.state);
        if state.oldest >= self.barrier {
            drop(state);
            return Poll::Ready(());
        }
        let before = state.waiting.register(self.waiter, waker);
        drop(state);
        drop(before);
        Poll::Pending
    }
}

impl Drop for Settled {
    fn drop(&mut self) {
        let waker = lock(&self.ledger.state).waiting.remove(self.waiter);
        drop(waker);
    }
}

/// An event on its way to a handler. Whoever loses it has it counted as dropped.
#[must_use]
pub(crate) struct Receipt {
    ledger: Arc<Ledger>,
    barrier: u64,
    fate: Fate,
}

#[derive(Clone, Copy)]
enum Fate {
    Delivered,
    /// It failed, which is counted where it fails.
    Counted,
    Lost,
}

impl Receipt {
    /// The handler was called, and did not fail.
    pub(crate) fn delivered(mut self) {
        self.fate = Fate::Delivered;
    }

    /// What became of it is counted already.
    pub(crate) fn counted(mut self) {
        self.fate = Fate::Counted;
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        let woken = lock(&self.ledger.state).settle(self.barrier, self.fate);
        woken.into_iter().flatten().for_each(wake);
    }
}
