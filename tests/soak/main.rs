//! Much of everything for a long time, in short-lived programs and in one that stays: what is done leaves nothing
//! behind, be it memory, threads or open runs.
//!
//! ```sh
//! SOAK=600 cargo test -p callbacks-tests --test soak    # so many seconds
//! ```

mod measure;
#[path = "../schedules/schedule/mod.rs"]
mod schedule;
mod server;

use std::env;
use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use measure::{ROUNDS, Rounds};
use schedule::history::Entry;
use schedule::plan::Plan;
use schedule::watchdog::Watchdog;
use schedule::{play, rules};
use server::Server;

/// How long it takes, in seconds, unless `SOAK` says otherwise.
const SECONDS: u64 = 10;
/// How many schedules there are in a round, on each of two threads.
const SCHEDULES: u64 = 50;

/// Plays so many schedules, and counts calls.
fn play_all(seeds: impl Iterator<Item = u64>) -> u64 {
    let (mut calls, watchdog) = (0, Watchdog::new("SEED"));
    for seed in seeds {
        watchdog.plays(seed);
        let played = play::play(Plan::of(seed));
        let entered = played.history.iter();
        let entered = entered.filter(|entry| matches!(***entry, Entry::Entered(_)));
        calls += entered.count() as u64;
        let broken = rules::broken(&Plan::of(seed), &played);
        assert!(broken.is_empty(), "SEED={seed}\n{}", broken.join("\n"));
    }
    calls
}

#[test]
fn nothing_is_left_behind() {
    let seconds = env::var("SOAK");
    let seconds = seconds.ok().and_then(|seconds| seconds.parse().ok());
    let time = Duration::from_secs(seconds.unwrap_or(SECONDS));
    let begin = Instant::now();
    let watchdog = Watchdog::new("ROUND");
    // Two runtimes of the crate's own, of one worker each, stay.
    let mut rounds = Rounds::new(2 + server::THREADS);
    let mut server = Server::new();
    let (first, mut schedules, mut calls) = (fastrand::u64(..) >> 1, 0, 0);
    println!("seeds from {first} on");
    while rounds.len() < ROUNDS || begin.elapsed() < time {
        thread::scope(|scope| {
            let both = [0, 1].map(|at| {
                let first = first + schedules + at * SCHEDULES;
                scope.spawn(move || play_all(first..first + SCHEDULES))
            });
            for one in both {
                calls += one.join().expect("nothing panics");
            }
        });
        schedules += 2 * SCHEDULES;
        watchdog.plays(rounds.len() as u64);
        server.round();
        rounds.measure();
    }
    // Not `println!`, which shows nothing of a test that passes.
    let _ = writeln!(
        io::stderr(),
        "soak: {schedules} schedules of {calls} calls, and {}, in {:.0?}: {}",
        server.report(),
        begin.elapsed(),
        rounds.report(),
    );
    rounds.assert_level();
}
