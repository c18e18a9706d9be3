//! What a run may end with, as an error.

use std::borrow::Borrow;
use std::error::Error;
use std::ops::DerefMut;

use super::RunError;

/// An error that a run can end with: what [`finish`](crate::RunGuard::finish) and
/// [`error`](crate::RunGuard::error) take.
///
/// These are, by value or by reference:
///
/// * errors, and whatever else converts [into a `RunError`](RunError), as a `RunError` does itself;
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
    label = "this error cannot be told to handlers",
    note = "use a `std::error::Error`, a `Box<dyn Error>` or the like, a text, or a `callbacks::RunError`",
    note = "or write `impl From<{Self}> for callbacks::RunError`",
    note = "in generic code, ask for `E: std::error::Error`"
)]
pub trait IntoRunError<Via> {
    /// The error, as a run's.
    fn into_run_error(self) -> RunError;
}

/// It converts into a run's error.
#[derive(Debug)]
pub enum ByItself {}
/// It is a box, and the error is inside.
#[derive(Debug)]
pub enum ByWhatIsInside {}
/// It is the text of the error.
#[derive(Debug)]
pub enum ByItsText {}
/// It is behind a reference, and becomes a run's error as what it refers to does.
#[derive(Debug)]
pub struct Borrowed<Via>(Via);

#[diagnostic::do_not_recommend]
impl<E: Into<RunError>> IntoRunError<ByItself> for E {
    fn into_run_error(self) -> RunError {
        self.into()
    }
}

/// `DerefMut`, because an `Arc<dyn Error>` and a `&dyn Error` are errors themselves.
#[diagnostic::do_not_recommend]
impl<E: DerefMut<Target: DynError>> IntoRunError<ByWhatIsInside> for E {
    fn into_run_error(self) -> RunError {
        RunError::from(self.as_error())
    }
}

#[diagnostic::do_not_recommend]
impl<E: DerefMut<Target: DynError>> IntoRunError<Borrowed<ByWhatIsInside>> for &E {
    fn into_run_error(self) -> RunError {
        RunError::from(self.as_error())
    }
}

#[diagnostic::do_not_recommend]
impl<E: Borrow<str>> IntoRunError<ByItsText> for E {
    fn into_run_error(self) -> RunError {
        RunError::new(self.borrow())
    }
}

#[diagnostic::do_not_recommend]
impl<E: Borrow<str>> IntoRunError<Borrowed<ByItsText>> for &E {
    fn into_run_error(self) -> RunError {
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
