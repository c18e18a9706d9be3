//! One call of a recorder.

use std::fmt;
use std::sync::Arc;
use std::thread::{self, ThreadId};

use crate::events::Events;
use crate::set::method;
use crate::{Event, EventSet, Run, RunInfo};

/// A call that a [`Recorder`](super::Recorder) recorded. Cheap to clone.
///
/// ```
/// use callbacks::events::AnyEvent;
/// use callbacks::testing::Recorded;
///
/// /// All that a model said.
/// fn tokens(events: &[Recorded]) -> String {
///     let tokens = events.iter().filter_map(|recorded| match recorded.event() {
///         AnyEvent::LlmNewToken(event) => Some(event.token),
///         _ => None,
///     });
///     tokens.collect()
/// }
/// ```
pub struct Recorded<S: EventSet = Events>(Arc<Call<S>>);

struct Call<S: EventSet> {
    run: RunInfo,
    seq: u64,
    event: S::Owned,
    thread: ThreadId,
}

impl<S: EventSet> Recorded<S> {
    /// A call that is made now, on this thread.
    pub(super) fn here(run: &Run<'_>, event: &S::Ref<'_>) -> Self {
        Self(Arc::new(Call {
            run: run.info().clone(),
            seq: run.seq(),
            event: S::own(event),
            thread: thread::current().id(),
        }))
    }

    /// The event.
    #[must_use]
    pub fn event(&self) -> S::Ref<'_> {
        S::view(&self.0.event)
    }

    /// Whether it is an event of this type.
    #[must_use]
    pub fn is<E: Event<Set = S>>(&self) -> bool {
        S::index(&self.event()) == E::INDEX
    }

    /// The handler method that the event is handled by, such as `on_llm_end`.
    #[must_use]
    pub fn method(&self) -> &'static str {
        method::<S>(S::index(&self.event()))
    }

    /// The run that the event belongs to.
    #[must_use]
    pub fn run(&self) -> &RunInfo {
        &self.0.run
    }

    /// The number of the event in its run tree; see [`Run::seq`].
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.0.seq
    }

    /// The thread that the call was made on.
    #[must_use]
    pub fn thread(&self) -> ThreadId {
        self.0.thread
    }
}

impl<S: EventSet> Clone for Recorded<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: EventSet> fmt::Debug for Recorded<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorded")
            .field("run", &self.run().name())
            .field("seq", &self.seq())
            .field("event", &self.event())
            .field("thread", &self.thread())
            .finish()
    }
}
