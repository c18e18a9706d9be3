//! How many tokens came, how fast, and when the first did.

use std::time::Duration;

// For paused time in tests.
use tokio::time::Instant;

use super::super::drawing::duration;

/// The tokens of a run tree.
pub(super) struct Pace {
    started: Instant,
    count: u64,
    first_after: Option<Duration>,
    /// When the last one came, of models that are still open.
    last: Option<Instant>,
    /// How often one came after another, and how long that took. In between two models, nothing is late.
    followed: u32,
    took: Duration,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            started: Instant::now(),
            count: 0,
            first_after: None,
            last: None,
            followed: 0,
            took: Duration::ZERO,
        }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub(super) fn token(&mut self) {
        let now = Instant::now();
        self.count += 1;
        self.first_after.get_or_insert(now - self.started);
        if let Some(last) = self.last.replace(now) {
            self.followed = self.followed.saturating_add(1);
            self.took += now - last;
        }
    }

    /// No model is open any more.
    pub(super) fn pause(&mut self) {
        self.last = None;
    }

    pub(super) fn facts(&self) -> Vec<String> {
        let mut facts = Vec::new();
        match self.count {
            0 => {}
            1 => facts.push("1 token".to_owned()),
            count => facts.push(format!("{count} tokens")),
        }
        if !self.took.is_zero() {
            let pace = f64::from(self.followed) / self.took.as_secs_f64();
            facts.push(format!("{pace:.1} tokens/s"));
        }
        if let Some(first_after) = self.first_after {
            facts.push(format!("first token after {}", duration(first_after)));
        }
        facts
    }
}
