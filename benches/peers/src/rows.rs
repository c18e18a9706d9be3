//! The rows: what is emitted, and to whom.

use std::fmt;

/// One row of the table.
#[derive(Clone, Copy)]
pub(crate) enum Row {
    /// A token, and no handler.
    Unheard,
    /// A token, and so many handlers that want something else.
    Unwanted(usize),
    /// A token for so many plain handlers.
    Plain(usize),
    /// A token for so many async handlers which are ready at once.
    Async(usize),
    /// The start and the end of a run, and no handler.
    Run,
}

impl Row {
    pub(crate) const ALL: [Self; 10] = [
        Self::Unheard,
        Self::Unwanted(1),
        Self::Unwanted(8),
        Self::Unwanted(64),
        Self::Plain(1),
        Self::Plain(8),
        Self::Plain(64),
        Self::Async(1),
        Self::Async(8),
        Self::Run,
    ];

    /// How many handler calls one event is.
    pub(crate) fn calls(self) -> usize {
        match self {
            Self::Plain(n) | Self::Async(n) => n,
            Self::Unheard | Self::Unwanted(_) | Self::Run => 0,
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unheard => f.write_str("a token that nobody listens to"),
            Self::Unwanted(n) => write!(f, "a token, {n} x handlers that want something else"),
            Self::Plain(n) => write!(f, "a token, {n} x plain handlers"),
            Self::Async(n) => write!(f, "a token, {n} x async handlers"),
            Self::Run => f.write_str("start and end of a run that nobody listens to"),
        }
    }
}
