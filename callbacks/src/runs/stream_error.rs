//! What the items of a stream may fail with.

use std::borrow::Borrow;
use std::error::Error;
use std::ops::DerefMut;

use crate::payload::RunError;

/// An error that the items of a [stream](crate::RunGuard::stream) may fail with, so that it can be
/// told to handlers and still be given out.
///
/// These are:
///
/// * errors, and whatever else converts [into a `RunError`](RunError) by reference, as a `RunError`
///   does itself;
/// * boxes around errors: `Box<dyn Error>`, with or without `Send + Sync`, and those of `anyhow` and
///   `eyre`;
/// * texts.
///
/// `Via` says which of them it is. It is inferred.
///
/// A type of another kind can be made one of them:
///
/// ```
/// use callbacks::RunError;
///
/// struct Status(u16); // no `Error`
///
/// impl From<&Status> for RunError {
///     fn from(status: &Status) -> Self {
///         RunError::new(format!("status {}", status.0)).with_type_name("Status")
///     }
/// }
/// ```
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

/// How an error becomes a run's.
#[derive(Debug)]
pub enum ByItself {}
/// How an error becomes a run's.
#[derive(Debug)]
pub enum ByWhatIsInside {}
/// How an error becomes a run's.
#[derive(Debug)]
pub enum ByItsText {}

#[diagnostic::do_not_recommend]
impl<E> StreamError<ByItself> for E
where
    for<'e> RunError: From<&'e E>,
{
    fn to_run_error(&self) -> RunError {
        RunError::from(self)
    }
}

/// `DerefMut`, because an `Arc<dyn Error>` and a `&dyn Error` are errors themselves.
#[diagnostic::do_not_recommend]
impl<E: DerefMut<Target: DynError>> StreamError<ByWhatIsInside> for E {
    fn to_run_error(&self) -> RunError {
        RunError::from((**self).as_error())
    }
}

#[diagnostic::do_not_recommend]
impl<E: Borrow<str>> StreamError<ByItsText> for E {
    fn to_run_error(&self) -> RunError {
        RunError::new(self.borrow())
    }
}

/// An error whose type is not known.
pub trait DynError {
    fn as_error(&self) -> &(dyn Error + 'static);
}

impl DynError for dyn Error {
    fn as_error(&self) -> &(dyn Error + 'static) {
        self
    }
}

impl DynError for dyn Error + Send {
    fn as_error(&self) -> &(dyn Error + 'static) {
        self
    }
}

impl DynError for dyn Error + Send + Sync {
    fn as_error(&self) -> &(dyn Error + 'static) {
        self
    }
}
