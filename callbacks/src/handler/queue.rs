//! Bounded queues, as they are asked for where a handler is registered.

/// The queue of a [background](crate::Configured::background) handler or of a
/// [stream of records](crate::Callbacks::record): how many events may wait in it, and what happens
/// to one that finds it full.
///
/// ```
/// use callbacks::{OnFull, Queue};
///
/// let audit = Queue::bounded(1024); // an emission waits for room
/// let gauge = Queue::bounded(64).on_full(OnFull::DropNewest);
/// ```
///
/// Starts and terminal events are never dropped and never wait: they pass a full queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a queue does nothing until a handler is registered with it"]
pub struct Queue {
    pub(crate) capacity: usize,
    pub(crate) on_full: OnFull,
}

impl Queue {
    /// A queue for `capacity` events, where 0 is taken for 1; an emission waits for room in it. A background
    /// handler has one for each run tree, so no run tree waits for another.
    pub const fn bounded(capacity: usize) -> Self {
        Self {
            capacity,
            on_full: OnFull::Wait,
        }
    }

    /// Says what happens to an event that finds the queue full.
    pub const fn on_full(mut self, on_full: OnFull) -> Self {
        self.on_full = on_full;
        self
    }
}

/// What happens to an event that finds its queue full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnFull {
    /// Its emission waits for room.
    #[default]
    Wait,
    /// It is not delivered, which the [`FlushReport`](crate::FlushReport) counts.
    DropNewest,
}
