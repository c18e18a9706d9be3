//! What a flush waits for (`ledger.rs`).
//!
//! Left out: the timeout of a flush, and that it waits for several ledgers at once.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use shuttle::future::block_on;
use shuttle::thread;

use crate::delivery::ledger::{Ledger, Receipt, Trouble};
use crate::delivery::sync::begin;
use crate::explore;
use crate::log::Log;

/// A receipt that is about to be settled, which the log says just before.
fn settle(log: &Log<u64>, (event, receipt): (u64, Receipt)) {
    log.add(event);
    match event % 3 {
        0 => receipt.delivered(),
        1 => drop(receipt),
        _ => receipt.counted(),
    }
}

/// Waits for a barrier; gives what was about to be settled by then.
fn flush(ledger: &Arc<Ledger>, log: &Log<u64>) -> Vec<u64> {
    block_on(ledger.settled());
    log.entries()
}

/// Modelled: two threads settle events while two others wait for barriers with events before and
/// behind them. The rule: a flush returns when all events before it are settled, and only then; and
/// the counts add up.
///
/// In `ledger.rs`, with barriers forgotten one at a time in `advance` (`if` instead of `while`):
/// deadlock. With `self.oldest + 1 >= barrier` in the poll of
/// `Settled`: a flush returns too early. Without
/// the wakers being woken in the drop of a receipt: deadlock.
#[test]
fn a_flush_waits_for_what_came_before() {
    explore::interrupted(3, || {
        begin();
        let (ledger, log) = (Ledger::new("handler".into(), true), Log::new());
        let events = [0, 1].map(|event| (event, ledger.receipt()));
        let [one, two] = events.map(|event| {
            let log = log.clone();
            move || settle(&log, event)
        });
        let [one, two] = [thread::spawn(one), thread::spawn(two)];
        let other = thread::spawn({
            let (ledger, log) = (ledger.clone(), log.clone());
            move || {
                let settled = flush(&ledger, &log);
                assert!([0, 1].iter().all(|event| settled.contains(event)));
            }
        });
        let later = (2, ledger.receipt());
        let barrier = ledger.settled();
        settle(&log, later);
        block_on(barrier);
        let settled = log.entries();
        assert!([0, 1, 2].iter().all(|event| settled.contains(event)));
        for thread in [one, two, other] {
            thread.join().unwrap();
        }
        let counts = ledger.counts();
        assert_eq!((counts.delivered, counts.dropped), (1, 1));
        assert_eq!(counts.pending, 0);
    });
}

/// Modelled: a flush is polled with another waker than before, and what that was looks at the counts where it
/// is dropped. The rule: no code of an executor runs under the lock.
///
/// In `ledger.rs`, without `drop(state)` before `drop(before)`: deadlock.
#[test]
fn a_waker_is_dropped_under_no_lock() {
    struct Looks(Arc<Ledger>);

    impl Wake for Looks {
        fn wake(self: Arc<Self>) {}
    }

    impl Drop for Looks {
        fn drop(&mut self) {
            assert_eq!(self.0.counts().pending, 1);
        }
    }

    explore::all(|| {
        begin();
        let ledger = Ledger::new("handler".into(), true);
        let receipt = ledger.receipt();
        let mut barrier = ledger.settled();
        for _ in 0..2 {
            let waker = Waker::from(Arc::new(Looks(ledger.clone())));
            let polled = Pin::new(&mut barrier).poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
        }
        drop(barrier);
        receipt.delivered();
    });
}

/// Modelled: an event that never arrives comes behind a flush, or before another one. The rule: a
/// flush waits for no later event, and no flush keeps another from returning.
///
/// In `ledger.rs`, without `self.out.push_back(0)` in `barrier`: the flush returns at once.
#[test]
fn a_flush_waits_for_nothing_later() {
    explore::interrupted(3, || {
        begin();
        let (ledger, log) = (Ledger::new("handler".into(), true), Log::new());
        let early = (0, ledger.receipt());
        let barrier = ledger.settled();
        let never = ledger.receipt();
        let settling = thread::spawn({
            let log = log.clone();
            move || settle(&log, early)
        });
        let other = thread::spawn({
            let ledger = ledger.clone();
            move || {
                let mut second = ledger.settled();
                let mut pending = false;
                block_on(std::future::poll_fn(|cx| {
                    pending = std::pin::Pin::new(&mut second).poll(cx).is_pending();
                    std::task::Poll::Ready(())
                }));
                assert!(pending);
            }
        });
        block_on(barrier);
        assert_eq!(log.entries(), [0]);
        settling.join().unwrap();
        other.join().unwrap();
        assert_eq!(ledger.counts().pending, 1);
        never.counted();
        block_on(ledger.settled());
        assert_eq!(ledger.counts().pending, 0);
        ledger.count(Trouble::Failed);
        assert_eq!(ledger.counts().failed, 1);
    });
}
