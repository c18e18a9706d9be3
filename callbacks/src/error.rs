//! What an emission can fail with.

use crate::BoxError;

/// Why an emission failed.
///
/// A handler's own error is none, unless it was registered with
/// [`raise_errors`](crate::Configured::raise_errors): it is logged, and the run goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmitError {
    /// A handler that was registered with [`raise_errors`](crate::Configured::raise_errors) failed.
    /// All other handlers were called all the same.
    #[error("the callback handler `{handler}` failed in `{event}`")]
    Raised {
        /// The handler's name.
        handler: String,
        /// Its method, such as `on_llm_start`.
        event: &'static str,
        /// What it failed with: its error, its panic, or that it took too long.
        source: BoxError,
    },
    /// The run is over: it was closed together with a run around it. Nothing was delivered.
    #[error("the run is closed; end a run after the runs that were started in it")]
    RunClosed,
}
