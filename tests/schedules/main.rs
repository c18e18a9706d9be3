//! Random schedules: run trees with random handlers in all ways of delivery, on and without runtimes, dropped at
//! random places. What happened is held against the rules of delivery.
//!
//! ```sh
//! cargo test -p callbacks-tests --test schedules                     # some thousand
//! SCHEDULES=100000 cargo test -p callbacks-tests --test schedules    # more, of other seeds
//! SEED=42 cargo test -p callbacks-tests --test schedules             # one, again and again
//! ```

mod schedule;

use std::env;
use std::thread;

use schedule::plan::Plan;
use schedule::{play, rules};

const SCHEDULES: u64 = 3_000;

fn variable(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}

/// Plays a plan. How its parts overlap is up to the machine, so the same seed may find something or not.
fn try_one(seed: u64) -> Result<(), String> {
    let says = SaysSeed(seed);
    let played = play::play(Plan::of(seed));
    drop(says);
    let plan = Plan::of(seed);
    let broken = rules::broken(&plan, &played);
    if broken.is_empty() {
        return Ok(());
    }
    let history = played.history.iter().enumerate();
    let history: Vec<_> = history
        .map(|(at, entry)| format!("{at}: {entry:?}"))
        .collect();
    let (broken, history) = (broken.join("\n"), history.join("\n"));
    Err(format!(
        "SEED={seed}\n{plan:#?}\n{history}\n\nSEED={seed}\n{broken}"
    ))
}

/// Says the seed, if nothing comes of it.
struct SaysSeed(u64);

impl Drop for SaysSeed {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("SEED={}\nit panics or hangs", self.0);
        }
    }
}

fn play_all(seeds: impl Iterator<Item = u64>) {
    for seed in seeds {
        if let Err(broken) = try_one(seed) {
            panic!("{broken}");
        }
    }
}

#[test]
fn rules_are_kept() {
    if let Some(seed) = variable("SEED") {
        play_all(std::iter::repeat_n(seed, 500));
        return;
    }
    match variable("SCHEDULES") {
        // Others each time.
        Some(schedules) => {
            let first = fastrand::u64(..) >> 1;
            println!("seeds from {first} on");
            play_all(first..first + schedules);
        }
        None => play_all(0..SCHEDULES),
    }
}
