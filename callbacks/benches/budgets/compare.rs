//! Times two sides of a row in turn, for whatever else the machine does slows both down, and prints
//! what came of it beside the budget.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use allocation_counter::measure;

use crate::sides::{Limit, Row, Rows};

/// What a side took for all its times.
#[derive(Clone, Copy, Default)]
struct Taken {
    time: Duration,
    /// On the thread of the emitter.
    allocations: u64,
}

/// What it takes to do something so often.
async fn taken(
    times: u32,
    (prepare, once): &mut (impl AsyncFnMut(u32), impl AsyncFnMut()),
) -> Taken {
    prepare(times).await;
    let mut all = pin!(async {
        for _ in 0..times {
            once().await;
        }
    });
    let mut allocations = 0;
    let begin = Instant::now();
    poll_fn(|cx| {
        let mut polled = Poll::Pending;
        allocations += measure(|| polled = all.as_mut().poll(cx)).count_total;
        polled
    })
    .await;
    Taken {
        time: begin.elapsed(),
        allocations,
    }
}

/// How often both sides take their turns.
const ROUNDS: usize = 300;
/// How long a turn takes at least.
const TURN: Duration = Duration::from_micros(20);

pub(crate) struct Table {
    pub(crate) limits: &'static [Limit],
}

impl Table {
    pub(crate) fn heading(&self, runtime: &str) {
        println!(
            "\n{runtime:34} {:>8}  {:>9} {:>9} {:>6}  {:>9}  {:>11}",
            "handlers", "ours ns", "beside ns", "ratio", "at most", "allocations"
        );
    }
}

impl Rows for Table {
    async fn row(&mut self, row: Row, ours: impl AsyncFnMut(), bare: impl AsyncFnMut()) {
        let nothing = async |_| {};
        self.prepared(row, None, (nothing, ours), (nothing, bare))
            .await;
    }
}

impl Table {
    /// Prints one line. Times are the tenth percentile, for what is above it is other people's doing.
    ///
    /// Each side is prepared for what it is to do so many times, or for as many as take long enough.
    pub(crate) async fn prepared(
        &mut self,
        row: Row,
        times: Option<u32>,
        mut ours: (impl AsyncFnMut(u32), impl AsyncFnMut()),
        mut bare: (impl AsyncFnMut(u32), impl AsyncFnMut()),
    ) {
        let (given, mut times) = (times.is_some(), times.unwrap_or(1));
        let (mut last, mut rounds) = ((Taken::default(), Taken::default()), Vec::new());
        while !given && last.0.time.min(last.1.time) < TURN {
            times *= 2;
            last = (taken(times, &mut ours).await, taken(times, &mut bare).await);
        }
        let nanos = |taken: Taken| taken.time.as_secs_f64() * 1e9 / f64::from(times);
        while rounds.len() < ROUNDS {
            last = (taken(times, &mut ours).await, taken(times, &mut bare).await);
            rounds.push((nanos(last.0), nanos(last.1)));
        }
        let sorted = |value: fn(&(f64, f64)) -> f64| {
            let mut values = rounds.iter().map(value).collect::<Vec<_>>();
            values.sort_by(f64::total_cmp);
            values
        };
        let ours = sorted(|(ours, _)| *ours)[ROUNDS / 10];
        let bare = sorted(|(_, bare)| *bare)[ROUNDS / 10];
        let ratio = ours / bare;
        let at_most = Limit::of(self.limits, row, bare);
        let Row(name, handlers) = row;
        #[allow(clippy::cast_precision_loss, reason = "there are not so many")]
        let each = |taken: Taken| taken.allocations as f64 / f64::from(times);
        println!(
            "{name:34} {handlers:8}  {ours:9.2} {bare:9.2} {ratio:6.2}  {at_most:9.2}  {:5.2} {:5.2}{}",
            each(last.0),
            each(last.1),
            if ours > at_most { "  over" } else { "" },
        );
    }
}
