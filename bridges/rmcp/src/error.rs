//! What a call of a tool can fail with.

use callbacks::EmitError;
use rmcp::ServiceError;

/// Why a call of a tool, or a report of its progress, failed.
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
