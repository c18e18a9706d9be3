//! What a call of a tool can fail with.

use callbacks::EmitError;
use rmcp::ServiceError;

/// Why a call of a tool, or a report of its progress, failed.
///
/// ```
/// use callbacks::EmitError;
/// use callbacks_rmcp::CallError;
///
/// /// What the model is told of it, so that it can do without.
/// fn told(error: &CallError) -> String {
///     match error {
///         CallError::Emit(EmitError::Stopped { reason, .. }) => format!("not allowed: {reason}"),
///         _ => "the tool is not available".to_owned(),
///     }
/// }
/// # let _ = told;
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// What it fails with without this crate: the server's error, or that of the connection.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// A handler stopped the call, one failed whose errors are
    /// [raised](callbacks::Configured::raise_errors), or the run around the call was over before it.
    #[error(transparent)]
    Emit(#[from] EmitError),
}
