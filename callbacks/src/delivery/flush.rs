//! Flushing: waiting for what is on its way to the handlers, and saying what became of it.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;

use super::callback;
use super::ledger::Ledger;
use super::waiting::Timer;

/// What became of the events of each handler. Made by [`Callbacks::flush`](crate::Callbacks::flush).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "the report says what did not arrive"]
pub struct FlushReport {
    /// One report for each handler, by event set and then in registration order.
    pub handlers: Vec<HandlerReport>,
}

impl FlushReport {
    /// Whether nothing is on its way any more.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.handlers.iter().all(|handler| handler.pending == 0)
    }

    /// The report of the handler with this name, the first if there are several.
    #[must_use]
    pub fn handler(&self, name: &str) -> Option<&HandlerReport> {
        self.handlers.iter().find(|handler| handler.name == name)
    }
}

/// What became of the events of one handler, since it was registered. A handler that has both a plain
/// and an async method for an event (by hand) is called twice for it, and both calls count.
///
/// What an emission hands over itself, to an inline method or to an async method that it waits for,
/// is not on its way for long: it is counted only if something goes wrong. Terminal events, and what
/// is put off because it was emitted inside a callback, are always counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandlerReport {
    /// The handler's name.
    pub name: String,
    /// Events that were queued for it, and that it handled.
    pub delivered: u64,
    /// Events for which it gave an error or panicked.
    pub failed: u64,
    /// Events for which it took longer than its timeout. (A sync method that goes on after that is
    /// still pending, until it returns.)
    pub timed_out: u64,
    /// Events that did not reach it, or not to the end: its queue was full, its stream was dropped,
    /// or the emission that waited for it was.
    pub dropped: u64,
    /// Events that are on their way.
    pub pending: u64,
}

impl HandlerReport {
    fn new(ledger: &Ledger) -> Self {
        let counts = ledger.counts();
        Self {
            name: ledger.name().to_owned(),
            delivered: counts.delivered,
            failed: counts.failed,
            timed_out: counts.timed_out,
            dropped: counts.dropped,
            pending: counts.pending,
        }
    }
}

/// Waits until all has arrived that is on its way now, but no longer than the timeout.
pub(crate) fn flush(
    ledgers: Vec<Arc<Ledger>>,
    timeout: Duration,
) -> impl Future<Output = FlushReport> {
    let waited = ledgers.iter().filter(|ledger| ledger.is_waited_for());
    let mut settled = join_all(waited.map(Ledger::settled));
    async move {
        // What a callback waits for may wait for the callback.
        if !callback::inside() {
            let mut timer = None;
            poll_fn(|cx| {
                if settled.poll_unpin(cx).is_ready() {
                    return Poll::Ready(());
                }
                timer.get_or_insert_with(|| Timer::new(timeout)).poll(cx)
            })
            .await;
        }
        let handlers = ledgers.iter().map(|ledger| HandlerReport::new(ledger));
        FlushReport {
            handlers: handlers.collect(),
        }
    }
}
