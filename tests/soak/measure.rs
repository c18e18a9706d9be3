//! What is there between two rounds, and whether it grows.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// The rounds in which all that is kept for ever, such as thread-locals and the private runtime, is made.
const FIRST: usize = 3;
/// Of the rounds after the first ones, so many are compared at each end, for the least that there is.
const COMPARED: usize = 5;
/// Threads leave long before this, and the watchdog is more patient.
const LINGER: Duration = Duration::from_secs(15);
/// The least number of rounds.
pub(crate) const ROUNDS: usize = FIRST + 2 * COMPARED;
/// What there may be more at the end, in bytes. (A byte for each event is a hundred times as much.)
const SLACK: usize = 4 * 1024;

#[derive(Clone, Copy, Debug)]
struct Left {
    bytes: usize,
    threads: usize,
}

pub(crate) struct Rounds {
    /// As many threads as there are when nothing is done. Where nobody counts them, 0.
    idle: usize,
    all: Vec<Left>,
}

impl Rounds {
    /// With so many threads that stay.
    pub(crate) fn new(stay: usize) -> Self {
        let before = threads().unwrap_or_default();
        Self {
            idle: before + stay,
            // It does not grow while it is measured.
            all: Vec::with_capacity(1 << 20),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Measures what is there once the threads that linger have left.
    ///
    /// # Panics
    ///
    /// If they do not leave.
    pub(crate) fn measure(&mut self) {
        let begin = Instant::now();
        while let Some(threads) = threads().filter(|threads| *threads > self.idle) {
            let (is_early, idle) = (begin.elapsed() < LINGER, self.idle);
            assert!(
                is_early,
                "{threads} threads do not leave, of {idle} that stay"
            );
            thread::sleep(Duration::from_millis(10));
        }
        self.all.push(Left {
            bytes: ALLOCATOR.current_usage(),
            threads: threads().unwrap_or_default(),
        });
    }

    /// How much there is after the first rounds, and at the end.
    fn ends(&self) -> [usize; 2] {
        let first = &self.all[FIRST..FIRST + COMPARED];
        let last = &self.all[self.all.len() - COMPARED..];
        [first, last].map(|rounds| {
            let bytes = rounds.iter().map(|left| left.bytes);
            bytes.min().unwrap_or_default()
        })
    }

    pub(crate) fn report(&self) -> String {
        let [first, last] = self.ends();
        let most = self.all.iter().map(|left| left.threads).max();
        let threads = match threads() {
            Some(_) => format!("{} threads", most.unwrap_or_default()),
            None => "threads that nobody counts here".to_owned(),
        };
        let peak = ALLOCATOR.peak_usage_as_mb();
        format!("{first} bytes at first, {last} at the end, {peak:.1} MB at most; {threads}")
    }

    /// # Panics
    ///
    /// If there is more at the end than at first.
    pub(crate) fn assert_level(&self) {
        let [first, last] = self.ends();
        let report = self.report();
        let rounds = &self.all[..FIRST + COMPARED];
        assert!(last <= first + SLACK, "{report}: {rounds:?} ..");
    }
}

/// `None` where the system does not tell.
fn threads() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let mut lines = status.lines();
    let count = lines.find_map(|line| line.strip_prefix("Threads:"))?;
    count.trim().parse().ok()
}
