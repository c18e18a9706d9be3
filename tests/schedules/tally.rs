//! What has happened in all schedules together: a rule that is never put to the test proves nothing.

use std::collections::BTreeMap;

use callbacks::ErrorKind;

use crate::schedule::history::{Entry, Left, Returned, What};
use crate::schedule::play::Played;

#[derive(Debug, Default)]
pub(crate) struct Tally(BTreeMap<&'static str, u64>);

/// So often each has to happen in a thousand schedules.
const LEAST: &[(&str, u64)] = &[
    ("calls", 20_000),
    ("calls that fail", 2_500),
    ("calls that are dropped at an await", 80),
    ("calls on a worker", 8_000),
    ("questions", 800),
    ("emissions", 9_000),
    ("emissions inside callbacks", 800),
    ("emissions that are dropped", 350),
    ("emissions that are refused", 800),
    ("emissions that raise", 150),
    ("starts that are stopped", 350),
    ("starts that are answered for", 30),
    ("ends that nobody emits", 3_500),
    ("runs that are dropped", 1_400),
    ("runs that panic", 250),
    ("runs that are abandoned", 500),
    ("events that are lost", 200),
    ("timeouts", 40),
];

impl Tally {
    pub(crate) fn add(&mut self, played: &Played) {
        for entry in &played.history {
            match &**entry {
                Entry::Began(began) => {
                    self.count("emissions");
                    if began.within.is_some() {
                        self.count("emissions inside callbacks");
                    }
                }
                Entry::Answered { .. } => self.count("starts that are answered for"),
                Entry::Returned { result, .. } => match result {
                    Returned::Ok => {}
                    Returned::Raised(_) => self.count("emissions that raise"),
                    Returned::Stopped => self.count("starts that are stopped"),
                    Returned::Closed => self.count("emissions that are refused"),
                },
                Entry::Dropped { .. } => self.count("emissions that are dropped"),
                Entry::Entered(call) => {
                    self.count("calls");
                    if call.on_a_worker {
                        self.count("calls on a worker");
                    }
                    if call.what == What::Question {
                        self.count("questions");
                    }
                    if call.what == What::Terminal && call.emission.is_none() {
                        self.count("ends that nobody emits");
                    }
                    match call.kind {
                        Some(ErrorKind::Dropped) => self.count("runs that are dropped"),
                        Some(ErrorKind::Panicked) => self.count("runs that panic"),
                        Some(ErrorKind::Abandoned) => self.count("runs that are abandoned"),
                        _ => {}
                    }
                }
                Entry::Left { how, .. } => match how {
                    Left::Failed => self.count("calls that fail"),
                    Left::Cut => self.count("calls that are dropped at an await"),
                    Left::Well | Left::Answered(_) => {}
                },
                Entry::Asks { .. } | Entry::Closes { .. } | Entry::Settled => {}
            }
        }
        for counts in played.counts.values() {
            *self.0.entry("events that are lost").or_default() += counts.dropped;
            *self.0.entry("timeouts").or_default() += counts.timed_out;
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    /// # Panics
    ///
    /// If something has not happened often enough in so many schedules.
    pub(crate) fn assert_enough(&self, schedules: u64) {
        for (what, least) in LEAST {
            let count = self.0.get(what).copied().unwrap_or_default();
            assert!(
                count >= least * schedules / 1_000,
                "{count} {what} are too few for {schedules} schedules: {self:#?}"
            );
        }
    }
}
