//! Why a run failed.

use std::any::type_name;
use std::error::Error;
use std::fmt;
use std::iter::successors;

use serde::{Deserialize, Serialize};

use super::json::null_as_default;
use super::setters::setters;

/// A chain of sources this long is taken for a cycle.
const MAX_SOURCES: usize = 64;

/// Why a run failed: an error as data, so that it can be cloned, stored and sent.
///
/// Every [`std::error::Error`] converts into it, so it cannot be one itself.
///
/// ```
/// use callbacks::{ErrorKind, RunError};
///
/// let error = RunError::from(std::fmt::Error);
/// assert_eq!(error.kind, ErrorKind::Failed);
/// assert_eq!(error.type_name, "core::fmt::Error");
///
/// let error = RunError::new("the user left").with_kind(ErrorKind::Cancelled);
/// assert_eq!(error.to_string(), "the user left");
/// ```
///
/// A `Box<dyn Error>` is no `Error`, but what is in it is: `&*boxed`. What a run ends with may be
/// [either](super::IntoRunError).
///
/// ```
/// # use callbacks::RunError;
/// let boxed: Box<dyn std::error::Error + Send + Sync> = "no route".into();
/// assert_eq!(RunError::from(&*boxed).message, "no route");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct RunError {
    /// How the run came to fail.
    #[serde(deserialize_with = "null_as_default")]
    pub kind: ErrorKind,
    /// The Rust type of the error, as [`std::any::type_name`] gives it; empty if there was none, or
    /// if it is not known, as that of an error behind a `dyn` is not.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub type_name: String,
    /// What the error displays.
    #[serde(deserialize_with = "null_as_default")]
    pub message: String,
    /// What the errors behind it display, the nearest first; 64 at most.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub sources: Vec<String>,
}

impl RunError {
    /// A failure with this message.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            ..Self::default()
        }
    }

    setters! {
        with_kind(kind: ErrorKind) = kind;
        with_type_name(type_name: impl Into<String>) = type_name.into();
        with_sources(sources: impl IntoIterator<Item: Into<String>>) = sources.into_iter().map(Into::into).collect();
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.message)
    }
}

impl<E: Error> From<E> for RunError {
    fn from(error: E) -> Self {
        let sources = successors(error.source(), |&source| source.source());
        Self::new(error.to_string())
            .with_type_name(type_name_of::<E>())
            .with_sources(sources.take(MAX_SOURCES).map(ToString::to_string))
    }
}

/// The name of an error's type, empty if all that is known of it is a trait.
fn type_name_of<E>() -> &'static str {
    let name = type_name::<E>().trim_start_matches('&');
    let inside = ["alloc::boxed::Box<", "alloc::sync::Arc<"]
        .iter()
        .find_map(|pointer| name.strip_prefix(pointer));
    if inside.unwrap_or(name).starts_with("dyn ") {
        ""
    } else {
        name
    }
}

impl From<&RunError> for RunError {
    fn from(error: &RunError) -> Self {
        error.clone()
    }
}

/// How a run came to fail.
///
/// ```
/// use callbacks::ErrorKind;
///
/// assert_eq!(ErrorKind::default(), ErrorKind::Failed);
/// assert_eq!(ErrorKind::Cancelled.as_str(), "cancelled");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The work reported an error.
    #[default]
    Failed,
    /// The work was called off.
    Cancelled,
    /// The run was dropped before it was ended: an early return, an abort, a lost `select!`, a timeout.
    Dropped,
    /// The run was dropped by a panic.
    Panicked,
    /// The run was still open when its parent was closed.
    Abandoned,
    /// A handler of a decision event said no.
    Stopped,
}

impl ErrorKind {
    /// The kind's name in `snake_case`.
    ///
    /// This is also how a kind is serialized.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Dropped => "dropped",
            Self::Panicked => "panicked",
            Self::Abandoned => "abandoned",
            Self::Stopped => "stopped",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
