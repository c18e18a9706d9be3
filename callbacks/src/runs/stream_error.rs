//! What the items of a stream may fail with.

use crate::payload::{IntoRunError, RunError};

/// An error that the items of a [stream](crate::RunGuard::stream) may fail with, so that it can be
/// told to handlers and still be given out: whatever a run [can end with](IntoRunError) by reference.
///
/// `Via` says how. It is inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no error that a run can end with",
    label = "the errors of these items cannot be told to handlers",
    note = "use a `std::error::Error`, a `Box<dyn Error>` or the like, a text, or a `callbacks::RunError`",
    note = "or write `impl From<&{Self}> for callbacks::RunError`",
    note = "in generic code, ask for `E: std::error::Error`"
)]
pub trait StreamError<Via> {
    /// The error, as a run's.
    fn to_run_error(&self) -> RunError;
}

#[diagnostic::do_not_recommend]
impl<E, Via> StreamError<Via> for E
where
    for<'e> &'e E: IntoRunError<Via>,
{
    fn to_run_error(&self) -> RunError {
        self.into_run_error()
    }
}
