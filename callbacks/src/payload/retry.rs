//! Where a retried operation stands.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::json::{null_as_default, seconds};
use super::setters::setters;
use super::{IntoRunError, RunError};

/// Where an operation that is tried again stands, told after an attempt failed.
///
/// ```
/// use std::time::Duration;
/// use callbacks::{RetryState, RunError};
///
/// let state = RetryState::new(1)
///     .with_max_attempts(3)
///     .with_wait(Duration::from_millis(500))
///     .with_error(RunError::new("rate limited"));
/// assert_eq!(state.attempt, 1);
/// assert_eq!(serde_json::to_value(&state)?["wait"], 0.5);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct RetryState {
    /// The attempt that failed: 1 is the first try, 2 the first retry.
    #[serde(deserialize_with = "null_as_default")]
    pub attempt: u32,
    /// How many attempts there will be at most, the first included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// How long until the next attempt; in JSON a number of seconds.
    #[serde(with = "seconds", skip_serializing_if = "Option::is_none")]
    pub wait: Option<Duration>,
    /// Why the attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<RunError>,
}

impl RetryState {
    /// The attempt with this number failed; 1 is the first.
    #[must_use]
    pub fn new(attempt: u32) -> Self {
        Self {
            attempt,
            ..Self::default()
        }
    }

    setters! {
        with_max_attempts(max_attempts: u32) = Some(max_attempts);
        with_wait(wait: Duration) = Some(wait);
    }

    /// Sets [`error`](field@Self::error).
    #[must_use]
    pub fn with_error<Via>(mut self, error: impl IntoRunError<Via>) -> Self {
        self.error = Some(error.into_run_error());
        self
    }
}
