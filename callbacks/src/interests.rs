//! Which events of a set a handler has methods for.

use std::ops::BitOr;

/// A set of events of one event set: one bit each, by the event's index.
///
/// The groups, such as [`LLM`](Self::LLM), are those of the built-in set. Events of any set, one or several, are
/// chosen by their [`INDEX`](crate::Event::INDEX), for which the trait has to be in scope:
///
/// ```
/// use callbacks::events::{LlmEnd, LlmNewToken};
/// use callbacks::{Event, Interests};
///
/// let interests = const { Interests::of(&[LlmNewToken::INDEX]) };
/// assert!(interests.contains(LlmNewToken::INDEX));
/// assert!(!interests.contains(LlmEnd::INDEX));
/// assert!(Interests::ALL.contains(LlmEnd::INDEX));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Interests(u64);

impl Interests {
    /// No event.
    pub const NONE: Self = Self(0);
    /// Every event.
    pub const ALL: Self = Self(u64::MAX);

    /// The events with these indices.
    ///
    /// # Panics
    ///
    /// If an index is 64 or more: an event set holds at most 64 events.
    #[must_use]
    pub const fn of(indices: &[u32]) -> Self {
        let mut bits = 0;
        let mut rest = indices;
        while let [index, tail @ ..] = rest {
            assert!(*index < u64::BITS, "an event set holds at most 64 events");
            bits |= 1 << *index;
            rest = tail;
        }
        Self(bits)
    }

    /// Whether the event with this index is among them.
    #[must_use]
    pub const fn contains(self, index: u32) -> bool {
        index < u64::BITS && self.0 >> index & 1 == 1
    }

    /// Whether any event is in both.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The events in both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The events in this and not in the other.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The events in either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOr for Interests {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}
