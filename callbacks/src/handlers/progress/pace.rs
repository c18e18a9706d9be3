//! How many tokens came, how fast, and when the first did.

use std::time::{Duration, SystemTime};

// For paused time in tests.
use tokio::time::Instant;

use super::super::drawing::duration;
use crate::Run;

/// The tokens of a run tree.
///
/// Each moment is given as the time since the outermost run was heard to start.
pub(super) struct Pace {
    started: Instant,
    started_at: SystemTime,
    count: u64,
    first_after: Option<Duration>,
    /// When the last one came, of models that are still open.
    last: Option<Duration>,
    /// How often one came after another, and how long that took. In between two models, nothing is late.
    followed: u32,
    took: Duration,
}

impl Pace {
    pub(super) fn new(run: &Run<'_>) -> Self {
        Self {
            started: Instant::now(),
            started_at: run.started_at(),
            count: 0,
            first_after: None,
            last: None,
            followed: 0,
            took: Duration::ZERO,
        }
    }

    /// Where a recording is replayed, what that says.
    pub(super) fn elapsed(&self, run: &Run<'_>) -> Duration {
        let recorded_at = run.recorded_at();
        recorded_at.map_or_else(
            || self.started.elapsed(),
            // A clock that was set back in between is as good as none.
            |time| time.duration_since(self.started_at).unwrap_or_default(),
        )
    }

    pub(super) fn token(&mut self, run: &Run<'_>) {
        let now = self.elapsed(run);
        self.count += 1;
        self.first_after.get_or_insert(now);
        if let Some(last) = self.last.replace(now) {
            self.followed = self.followed.saturating_add(1);
            self.took += now.saturating_sub(last);
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
