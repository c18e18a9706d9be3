//! Event sets and events, as `#[callback_events]` describes them to the runtime.

use std::fmt::Debug;
use std::sync::Arc;

use crate::{Deliver, Interests, Reply};

/// A family of events that one kind of handler handles: a module under `#[callback_events]`.
///
/// The macro implements it for the marker type `Events` of the module; it is not meant to be
/// implemented by hand.
pub trait EventSet: Sized + Send + Sync + 'static {
    /// Any event of the set, borrowed: the module's `AnyEvent<'a>`.
    type Ref<'a>: Copy + Debug + Send + Sync;
    /// Any event of the set, owned: the module's `owned::AnyEvent`.
    type Owned: Debug + Send + Sync + 'static;
    /// Any answer to a decision event of the set: the module's `AnyReply`.
    type Reply: Send + 'static;
    /// The handler method of each event, by the index of the event.
    const METHODS: &'static [&'static str];
    /// The decision events among the events.
    const DECISIONS: Interests;

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

/// The handler method of the event with this index.
pub(crate) fn method<S: EventSet>(event: u32) -> &'static str {
    let event = usize::try_from(event).ok();
    let method = event.and_then(|event| S::METHODS.get(event));
    method.copied().unwrap_or_default()
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
    /// It, with its fields borrowed for another time: `Sold<'e>` of `Sold<'_>`.
    type At<'e>: Event<Set = Self::Set, Reply = Self::Reply>;
    /// What its handlers answer; `()` if it is no decision event.
    type Reply: Send + 'static;
    /// Its position in the set, from 0.
    const INDEX: u32;
    /// Its type's name, such as `"LlmNewToken"`.
    const NAME: &'static str;

    /// It, as any event of its set.
    fn view(&self) -> <Self::Set as EventSet>::Ref<'_>;

    /// Any event of its set that borrows for as long as it does.
    #[doc(hidden)]
    type Any: Copy + Send + Sync;

    /// What `view` gives, without a reference to it: what is written once is not copied.
    #[doc(hidden)]
    fn into_any(self) -> Self::Any;

    /// What `into_any` gave, for as long as it is looked at.
    #[doc(hidden)]
    fn any(any: &Self::Any) -> &<Self::Set as EventSet>::Ref<'_>;

    /// The event again, if it is one of this type.
    ///
    /// ```
    /// use callbacks::Record;
    /// use callbacks::{Event, events::LlmNewToken};
    ///
    /// fn token(record: &Record) -> Option<&str> {
    ///     LlmNewToken::of(&record.event()).map(|event| event.token)
    /// }
    /// ```
    fn of<'v, 'e>(any: &'v <Self::Set as EventSet>::Ref<'e>) -> Option<&'v Self::At<'e>>
    where
        'e: 'v;

    /// An answer to it, as any answer of its set; `None` if it is no decision event.
    fn any_reply(reply: Self::Reply) -> Option<<Self::Set as EventSet>::Reply>;
}

/// An event whose handlers answer a question: a struct under `#[event(reply = ..)]`.
///
/// It is asked, with [`Callbacks::ask`](crate::Callbacks::ask) or
/// [`RunGuard::ask`](crate::RunGuard::ask), and not emitted.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a decision event",
    label = "nothing to answer here",
    note = "to ask handlers, mark the struct with `#[event(reply = ..)]`; to tell them, write `.emit(..)`"
)]
pub trait DecisionEvent: Event<Reply: Reply<Self::Owned>> {
    /// Its owned twin, which answers may rewrite.
    type Owned;

    /// A copy of it.
    fn to_twin(&self) -> Self::Owned;

    /// The owned twin in any owned event of its set, if it is that event.
    fn twin(any: &mut <Self::Set as EventSet>::Owned) -> Option<&mut Self::Owned>;

    /// Any owned event of its set as its owned twin, if it is that event.
    fn into_twin(any: <Self::Set as EventSet>::Owned) -> Option<Self::Owned>;

    /// The answer in any answer of its set, if it is one to this event.
    fn reply(any: <Self::Set as EventSet>::Reply) -> Option<Self::Reply>;
}

/// The reply of an event that is emitted: none.
#[diagnostic::on_unimplemented(
    message = "an event that is answered with `{Self}` is asked, not emitted",
    label = "a decision event",
    note = "write `.ask(..)`, or leave `reply` out of its `#[event(..)]`"
)]
pub trait NoReply {}

impl NoReply for () {}
