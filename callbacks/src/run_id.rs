//! The ids of runs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The identity of a run: a UUID, version 7 unless the emitter gave its own.
///
/// The ids that this crate makes grow: a run's is greater than its parent's.
///
/// ```
/// use callbacks::RunId;
///
/// let id: RunId = "0190a6b0-52a1-7f3c-8d5e-3a1b2c3d4e5f".parse()?;
/// assert_eq!(id.to_string(), "0190a6b0-52a1-7f3c-8d5e-3a1b2c3d4e5f");
/// assert_eq!(RunId::from(id.as_u128()), id);
/// assert!(RunId::NIL.is_nil());
/// # Ok::<(), callbacks::ParseRunIdError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(u128);

impl RunId {
    /// The id of the empty run, in which events outside any run are emitted.
    pub const NIL: Self = Self(0);

    /// Whether this is [`RunId::NIL`].
    #[must_use]
    pub const fn is_nil(self) -> bool {
        self.0 == 0
    }

    /// Its 128 bits.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0
    }

    pub(crate) fn next() -> Self {
        Self(Uuid::now_v7().as_u128())
    }
}

impl From<u128> for RunId {
    fn from(bits: u128) -> Self {
        Self(bits)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from_u128(self.0).fmt(f)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RunId {
    type Err = ParseRunIdError;

    fn from_str(text: &str) -> Result<Self, ParseRunIdError> {
        match Uuid::parse_str(text) {
            Ok(uuid) => Ok(Self(uuid.as_u128())),
            Err(error) => Err(ParseRunIdError(error.to_string())),
        }
    }
}

impl TryFrom<String> for RunId {
    type Error = ParseRunIdError;

    fn try_from(text: String) -> Result<Self, ParseRunIdError> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.to_string()
    }
}

/// A text that is no UUID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a run id: {0}")]
pub struct ParseRunIdError(String);
