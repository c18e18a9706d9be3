//! Event sets and events, as `#[callback_events]` describes them to the runtime.

use std::fmt::Debug;
use std::sync::Arc;

use crate::Deliver;

/// A family of events that one kind of handler handles: a module under `#[callback_events]`.
///
/// The macro implements it for the marker type `Events` of the module; it is not meant to be
/// implemented by hand.
pub trait EventSet: Sized + Send + Sync + 'static {
    /// Any event of the set, borrowed: the module's `AnyEvent<'a>`.
    type Ref<'a>: Copy + Debug + Send + Sync;
    /// Any event of the set, owned: the module's `owned::AnyEvent`.
    type Owned: Debug + Send + Sync + 'static;
    /// The handler method of each event, by the index of the event.
    const METHODS: &'static [&'static str];

    /// Which event of the set this is.
    fn index(event: &Self::Ref<'_>) -> u32;
    /// Copies an event out of what it borrows.
    fn own(event: &Self::Ref<'_>) -> Self::Owned;
    /// The event again, borrowed from its copy.
    fn view(event: &Self::Owned) -> Self::Ref<'_>;

    /// What is put around every handler of the set when it is registered; by default nothing.
    fn adapt(
        delivery: Arc<dyn Deliver<Self> + Send + Sync>,
    ) -> Arc<dyn Deliver<Self> + Send + Sync> {
        delivery
    }
}

/// Something that happened: a struct of a module under `#[callback_events]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    label = "not an event",
    note = "events are the structs of a module under `#[callback_events]`"
)]
pub trait Event: Copy + Debug + Send + Sync {
    /// The set it belongs to.
    type Set: EventSet;
    /// Its position in the set, from 0.
    const INDEX: u32;
    /// Its type's name, such as `"LlmNewToken"`.
    const NAME: &'static str;

    /// It, as any event of its set.
    fn view(&self) -> <Self::Set as EventSet>::Ref<'_>;
}
