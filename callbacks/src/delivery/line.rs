//! A line of what is queued in the middle of an emission: it is taken in order, and not before it
//! has been let go.

use std::collections::VecDeque;

pub(super) struct Line<T> {
    slots: VecDeque<Slot<T>>,
    /// How many have left.
    taken: u64,
}

struct Slot<T> {
    item: T,
    released: bool,
}

impl<T> Line<T> {
    /// Puts something at the end, and gives its number, from 1. What is held stays until it is
    /// [released](Self::release).
    pub(super) fn push(&mut self, item: T, held: bool) -> u64 {
        self.slots.push_back(Slot {
            item,
            released: !held,
        });
        self.last()
    }

    /// The number of what was put there last; 0 if nothing was.
    pub(super) fn last(&self) -> u64 {
        self.taken + self.slots.len() as u64
    }

    /// Lets go of what has this number, unless it has left.
    pub(super) fn release(&mut self, number: u64) {
        let ahead = number.checked_sub(self.taken + 1);
        let index = ahead.and_then(|ahead| usize::try_from(ahead).ok());
        if let Some(slot) = index.and_then(|index| self.slots.get_mut(index)) {
            slot.released = true;
        }
    }

    /// Whether what is in front has been let go.
    pub(super) fn is_ready(&self) -> bool {
        self.slots.front().is_some_and(|slot| slot.released)
    }

    /// What is in front, if it has been let go.
    pub(super) fn take(&mut self) -> Option<T> {
        if !self.is_ready() {
            return None;
        }
        self.taken += 1;
        self.slots.pop_front().map(|slot| slot.item)
    }

    /// Puts back what was taken just now.
    pub(super) fn put_back(&mut self, item: T) {
        self.taken -= 1;
        self.slots.push_front(Slot {
            item,
            released: true,
        });
    }

    pub(super) fn front(&self) -> Option<&T> {
        self.slots.front().map(|slot| &slot.item)
    }

    /// Whether what is in front has this number.
    pub(super) fn is_next(&self, number: u64) -> bool {
        self.taken + 1 == number
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self {
            slots: VecDeque::new(),
            taken: 0,
        }
    }
}
