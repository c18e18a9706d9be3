//! Measures all systems of a row in turn, so that whatever else the machine does meets all of them.

use std::iter::zip;

use tokio::runtime::Runtime;

use crate::handlers::Calls;
use crate::on_a_task;
use crate::peers::{self, Handlers, Peer};
use crate::rows::Row;
use crate::subject::{Gauge, Subject};

const ROUNDS: usize = 300;
/// Nanoseconds of a batch.
const LONG_ENOUGH: f64 = 200e3;
/// Events in a batch, at least. The first may have to wake a thread, of whatever system.
const BACK_TO_BACK: u32 = 32;

/// How much is done.
#[derive(Clone, Copy)]
pub(crate) enum Effort {
    /// Call counts are asserted, times are not worth printing.
    Quick,
    Full,
}

/// One line of the table; everything is of one event.
pub(crate) struct Measured {
    pub(crate) name: &'static str,
    pub(crate) nanos: f64,
    pub(crate) allocations: f64,
    pub(crate) called: usize,
}

pub(crate) fn measure(runtime: &Runtime, row: Row, effort: Effort) -> Vec<Measured> {
    let _entered = runtime.enter();
    let peers = peers::ALL.iter();
    let contestants = peers
        .filter_map(|peer| Contestant::new(peer, row))
        .collect();

    // The allocator that counts is there for the whole process, but costs nothing while it does not.
    let mut timed = (Vec::new(), Vec::new());
    allocation_counter::opt_out(|| timed = on_a_task(runtime, time_all(contestants, effort)));
    let (nanos, contestants) = timed;

    on_a_task(runtime, async move {
        let mut results = Vec::new();
        for (contestant, nanos) in zip(&contestants, nanos) {
            let allocations = contestant.batch(Gauge::Allocations).await;
            results.push(Measured {
                name: contestant.name,
                nanos,
                allocations,
                called: contestant.calls_per_event,
            });
        }
        results
    })
}

/// The tenth percentile for each: what is above it is other people's doing.
async fn time_all(mut contestants: Vec<Contestant>, effort: Effort) -> (Vec<f64>, Vec<Contestant>) {
    let mut rounds = 1;
    if matches!(effort, Effort::Full) {
        rounds = ROUNDS;
        for contestant in &mut contestants {
            contestant.choose_size().await;
        }
    }
    let mut times = vec![Vec::with_capacity(rounds); contestants.len()];
    let mut order: Vec<_> = (0..contestants.len()).collect();
    for _ in 0..rounds {
        // Threads that one leaves behind are not always in the way of the same other.
        fastrand::shuffle(&mut order);
        for &index in &order {
            times[index].push(contestants[index].batch(Gauge::Nanos).await);
        }
    }
    let p10 = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[rounds / 10]
    };
    (times.into_iter().map(p10).collect(), contestants)
}

/// A system in a row.
struct Contestant {
    name: &'static str,
    subject: Box<dyn Subject>,
    size: u32,
    calls: Calls,
    calls_per_event: usize,
}

impl Contestant {
    fn new(peer: &Peer, row: Row) -> Option<Self> {
        let calls = Calls::default();
        let subject = (peer.subject)(row, &calls)?;
        Some(Self {
            name: peer.name,
            size: subject.multiple().max(BACK_TO_BACK),
            subject,
            calls,
            calls_per_event: match peer.handlers {
                Handlers::Called => row.calls(),
                Handlers::NeverCalled => 0,
            },
        })
    }

    async fn choose_size(&mut self) {
        loop {
            let mut nanos = f64::INFINITY;
            for _ in 0..3 {
                nanos = nanos.min(self.batch(Gauge::Nanos).await);
            }
            if nanos * f64::from(self.size) >= LONG_ENOUGH {
                return;
            }
            self.size *= 2;
        }
    }

    /// Asserts that the handlers of each event were called as often as the table will say.
    async fn batch(&self, gauge: Gauge) -> f64 {
        let before = self.calls.so_far();
        let measured = self.subject.batch(self.size, gauge).await;
        let called = self.calls.so_far() - before;
        let events = usize::try_from(self.size).expect("a usize has at least 32 bits");
        assert_eq!(
            called,
            events * self.calls_per_event,
            "handler calls of {} in {events} events",
            self.name
        );
        measured
    }
}
