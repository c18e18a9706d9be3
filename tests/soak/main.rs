//! Random schedules for a long time: what is played leaves nothing behind, be it memory, threads or open runs.
//!
//! ```sh
//! SOAK=600 cargo test -p callbacks-tests --test soak -- --nocapture    # so many seconds
//! ```

#[path = "../schedules/schedule/mod.rs"]
mod schedule;

use std::env;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use peak_alloc::PeakAlloc;
use schedule::history::Entry;
use schedule::plan::Plan;
use schedule::watchdog::Watchdog;
use schedule::{play, rules};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// How long it takes, in seconds, unless `SOAK` says otherwise.
const SECONDS: u64 = 10;
/// How many schedules there are in a round, on each of two threads.
const SCHEDULES: u64 = 100;
/// The rounds in which all that is kept for ever, such as thread-locals and the private runtime, is made.
const FIRST: usize = 3;
/// What a round may have more than the first, in bytes: less than a byte a schedule after 10 minutes.
const SLACK: usize = 64 * 1024;

/// What there is between two rounds.
#[derive(Clone, Copy, Debug)]
struct Left {
    bytes: usize,
    threads: usize,
}

/// Plays so many schedules, and counts calls. The rules are held against some.
fn play_all(seeds: impl Iterator<Item = u64>) -> u64 {
    let (mut calls, watchdog) = (0, Watchdog::new());
    for seed in seeds {
        watchdog.plays(seed);
        let played = play::play(Plan::of(seed));
        let entered = played.history.iter();
        calls += entered
            .filter(|entry| matches!(***entry, Entry::Entered(_)))
            .count() as u64;
        let broken = rules::broken(&Plan::of(seed), &played);
        assert!(broken.is_empty(), "SEED={seed} {broken:#?}");
    }
    calls
}

fn threads() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Threads:"));
    line.and_then(|count| count.trim().parse().ok())
        .unwrap_or_default()
}

/// What is there once the threads that linger have left.
fn left(idle: usize) -> Left {
    let begin = Instant::now();
    while threads() > idle && begin.elapsed() < Duration::from_secs(30) {
        thread::sleep(Duration::from_millis(10));
    }
    Left {
        bytes: ALLOCATOR.current_usage(),
        threads: threads(),
    }
}

#[test]
fn nothing_is_left_behind() {
    let seconds = env::var("SOAK")
        .ok()
        .and_then(|seconds| seconds.parse().ok());
    let time = Duration::from_secs(seconds.unwrap_or(SECONDS));
    let (begin, before) = (Instant::now(), threads());
    // Two runtimes of the crate's own, of one worker each, stay.
    let idle = before + 2;
    let (mut seed, mut calls, mut rounds) = (fastrand::u64(..) >> 1, 0, Vec::new());
    println!("seeds from {seed} on");
    while rounds.len() < 2 * FIRST || begin.elapsed() < time {
        thread::scope(|scope| {
            let both = [0, 1].map(|at| {
                let first = seed + at * SCHEDULES;
                scope.spawn(move || play_all(first..first + SCHEDULES))
            });
            for one in both {
                calls += one.join().expect("nothing panics");
            }
        });
        seed += 2 * SCHEDULES;
        rounds.push(left(idle));
    }
    let first = rounds[FIRST - 1];
    let last = *rounds.last().expect("there are rounds");
    let most = rounds.iter().map(|left| left.bytes).max();
    println!(
        "{} schedules, {calls} calls in {:.0?}; at first {first:?}, at the end {last:?}, at most {most:?} bytes, \
         while it ran at most {:.1} MB",
        rounds.len() as u64 * 2 * SCHEDULES,
        begin.elapsed(),
        ALLOCATOR.peak_usage_as_mb(),
    );
    assert!(last.threads <= idle, "{last:?}, {before} threads at first");
    assert!(last.bytes <= first.bytes + SLACK, "{rounds:?}");
}
