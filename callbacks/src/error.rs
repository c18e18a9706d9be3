//! What an emission can fail with.

/// Why an event was not delivered.
///
/// A handler's own error is none: it is logged, and the run goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmitError {
    /// The run is over: it was closed together with a run around it. Nothing was delivered.
    #[error("the run is closed; end a run after the runs that were started in it")]
    RunClosed,
}
