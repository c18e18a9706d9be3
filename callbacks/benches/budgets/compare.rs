//! Times two sides of a row in turn, for whatever else the machine does slows both down, and prints
//! what came of it beside the budget.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use allocation_counter::measure;

use crate::sides::{self, Row, Rows};

/// What a side took for all its times.
#[derive(Clone, Copy, Default)]
pub(crate) struct Taken {
    time: Duration,
    /// On the thread of the emitter.
    allocations: u64,
}

/// Does something so many times, and says what it took without what had to be made ready.
pub(crate) trait Side: AsyncFnMut(u32) -> Taken {}

impl<F: AsyncFnMut(u32) -> Taken> Side for F {}

/// What `work` takes.
pub(crate) async fn taken(work: impl Future<Output = ()>) -> Taken {
    let mut work = pin!(work);
    let mut allocations = 0;
    let begin = Instant::now();
    poll_fn(|cx| {
        let mut polled = Poll::Pending;
        allocations += measure(|| polled = work.as_mut().poll(cx)).count_total;
        polled
    })
    .await;
    Taken {
        time: begin.elapsed(),
        allocations,
    }
}

/// One that needs nothing made ready.
pub(crate) fn each(mut once: impl AsyncFnMut()) -> impl Side {
    async move |times| {
        let all = async {
            for _ in 0..times {
                once().await;
            }
        };
        taken(all).await
    }
}

/// How many times longer this machine takes than the one that the nanoseconds are promised for.
pub(crate) async fn scale() -> f64 {
    const THERE: f64 = 0.85;
    const TIMES: u32 = 100_000;
    let mut fastest = f64::INFINITY;
    for _ in 0..100 {
        let begin = Instant::now();
        for _ in 0..TIMES {
            sides::empty(sides::TOKEN).await;
        }
        let nanos = begin.elapsed().as_secs_f64() * 1e9 / f64::from(TIMES);
        fastest = fastest.min(nanos);
    }
    fastest / THERE
}

/// How a row is measured.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    /// How long a batch takes at least, unless it does it so often.
    pub(crate) batch: Duration,
    pub(crate) most: u32,
}

impl Plan {
    /// For what takes nanoseconds.
    const SHORT: Self = Self {
        rounds: 300,
        batch: Duration::from_micros(20),
        most: u32::MAX,
    };
}

/// So many nanoseconds, so many for each handler, and so many times the bare counterpart.
pub(crate) struct Budget {
    pub(crate) row: &'static str,
    pub(crate) fixed: f64,
    pub(crate) times: f64,
}

pub(crate) struct Table {
    pub(crate) budgets: &'static [Budget],
    /// How much slower this machine is than the one that the nanoseconds of the budgets are for.
    pub(crate) scale: f64,
}

impl Rows for Table {
    async fn row(&mut self, row: Row, ours: impl AsyncFnMut(), bare: impl AsyncFnMut()) {
        self.compare(row, Plan::SHORT, each(ours), each(bare)).await;
    }
}

impl Table {
    pub(crate) fn heading(&self, runtime: &str) {
        println!(
            "\n{runtime:34} {:>8}  {:>9} {:>9} {:>6}  {:>9}  {:>11}",
            "handlers", "ours ns", "bare ns", "ratio", "at most", "allocations"
        );
    }

    /// Prints one line. Times are the tenth percentile, for what is above it is other people's doing;
    /// the ratio is the median of all rounds.
    pub(crate) async fn compare(
        &self,
        Row(name, handlers): Row,
        plan: Plan,
        mut ours: impl Side,
        mut bare: impl Side,
    ) {
        let mut times = 1;
        loop {
            let (ours, bare) = (ours(times).await, bare(times).await);
            if ours.time.min(bare.time) >= plan.batch || times >= plan.most {
                break;
            }
            times = times.saturating_mul(2).min(plan.most);
        }
        let nanos = |taken: Taken| taken.time.as_secs_f64() * 1e9 / f64::from(times);
        let mut rounds = Vec::with_capacity(plan.rounds);
        let mut last = (Taken::default(), Taken::default());
        for _ in 0..plan.rounds {
            last = (ours(times).await, bare(times).await);
            rounds.push((nanos(last.0), nanos(last.1)));
        }
        let sorted = |value: fn(&(f64, f64)) -> f64| {
            let mut values = rounds.iter().map(value).collect::<Vec<_>>();
            values.sort_by(f64::total_cmp);
            values
        };
        let ours = sorted(|(ours, _)| *ours)[plan.rounds / 10];
        let bare = sorted(|(_, bare)| *bare)[plan.rounds / 10];
        let ratio = sorted(|(ours, bare)| ours / bare)[plan.rounds / 2];
        let budget = self.budgets.iter().find(|budget| budget.row == name);
        let at_most = budget.map(|budget| budget.fixed * self.scale + budget.times * bare);
        let over = at_most.is_some_and(|at_most| ours > at_most);
        #[allow(clippy::cast_precision_loss, reason = "there are not so many")]
        let each = |taken: Taken| taken.allocations as f64 / f64::from(times);
        println!(
            "{name:34} {handlers:8}  {ours:9.2} {bare:9.2} {ratio:6.2}  {:>9}  {:5.2} {:5.2}{}",
            at_most.map_or_else(String::new, |at_most| format!("{at_most:.2}")),
            each(last.0),
            each(last.1),
            if over { "  over" } else { "" },
        );
    }
}
