//! Handlers of any number of event sets, with tags and metadata. It never changes: a change makes
//! another one, so that an emission takes no lock.

use std::any::{Any, TypeId};
use std::fmt::Debug;
use std::sync::Arc;

use super::dispatcher::{Dispatcher, Entry, Route, Way};
use super::ledger::Ledger;
use crate::info::Labels;
use crate::{Event, EventSet, Interests};

/// Whom a change is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The runs started from the value, and all that are started in them.
    Inherited,
    /// The runs started from the value alone.
    Local,
}

#[derive(Clone, Debug, Default)]
pub struct Registry {
    sets: Vec<Slot>,
    labels: Arc<Labels>,
    /// What children get, where that is less.
    inherited: Option<Arc<Registry>>,
}

/// The dispatcher of one event set.
#[derive(Clone, Debug)]
struct Slot {
    set: TypeId,
    interests: Interests,
    dispatcher: Arc<dyn AnyDispatcher>,
}

impl Slot {
    fn new<S: EventSet>(dispatcher: Dispatcher<S>) -> Self {
        Self {
            set: TypeId::of::<S>(),
            interests: dispatcher.interests(),
            dispatcher: Arc::new(dispatcher),
        }
    }
}

/// A `Dispatcher<S>`, whatever its set.
trait AnyDispatcher: Any + Debug + Send + Sync {
    /// Its handlers and those of another dispatcher of the same set.
    fn merged(&self, other: &dyn AnyDispatcher) -> Option<Slot>;

    fn ledgers(&self) -> Vec<Arc<Ledger>>;
}

impl<S: EventSet> AnyDispatcher for Dispatcher<S> {
    fn merged(&self, other: &dyn AnyDispatcher) -> Option<Slot> {
        let other = (other as &dyn Any).downcast_ref::<Self>()?;
        Some(Slot::new(self.merged(other)))
    }

    fn ledgers(&self) -> Vec<Arc<Ledger>> {
        self.ledgers().cloned().collect()
    }
}

impl Registry {
    /// With one more handler.
    pub(crate) fn with<S: EventSet>(&self, entry: &Arc<Entry<S>>, reach: Reach) -> Self {
        self.changed(reach, &|registry| {
            registry.add(&Slot::new(Dispatcher::new([entry.clone()])));
        })
    }

    /// With all of another registry: what is local there is local here.
    pub(crate) fn merged(self: &Arc<Self>, other: &Arc<Self>, reach: Reach) -> Self {
        let mut merged = (**self).clone();
        merged.add_all(other);
        merged.inherited = match (&self.inherited, &other.inherited, reach) {
            (None, None, Reach::Inherited) => None,
            (_, _, Reach::Local) => Some(self.inherited().clone()),
            (_, _, Reach::Inherited) => {
                let mut inherited = (**self.inherited()).clone();
                inherited.add_all(other.inherited());
                Some(Arc::new(inherited))
            }
        };
        merged
    }

    fn add_all(&mut self, other: &Self) {
        other.sets.iter().for_each(|slot| self.add(slot));
        let labels = Arc::make_mut(&mut self.labels);
        other.labels.tags.iter().for_each(|tag| labels.tag(tag));
        let metadata = other.labels.metadata.clone();
        labels.metadata.extend(metadata);
    }

    /// Adds the handlers of a slot.
    fn add(&mut self, other: &Slot) {
        match self.sets.iter_mut().find(|slot| slot.set == other.set) {
            Some(slot) => {
                if let Some(merged) = slot.dispatcher.merged(&*other.dispatcher) {
                    *slot = merged;
                }
            }
            None => self.sets.push(other.clone()),
        }
    }

    /// With other labels.
    pub(crate) fn label(&self, reach: Reach, change: impl Fn(&mut Labels)) -> Self {
        self.changed(reach, &|registry| {
            change(Arc::make_mut(&mut registry.labels));
        })
    }

    fn changed(&self, reach: Reach, change: &dyn Fn(&mut Registry)) -> Self {
        let mut changed = self.clone();
        change(&mut changed);
        changed.inherited = match (&self.inherited, reach) {
            (None, Reach::Inherited) => None,
            (None, Reach::Local) => Some(Arc::new(self.clone())),
            (Some(inherited), Reach::Inherited) => Some(Arc::new(inherited.changed(reach, change))),
            (Some(inherited), Reach::Local) => Some(inherited.clone()),
        };
        changed
    }

    /// What the children of a run get that was started with this.
    pub(crate) fn inherited(self: &Arc<Self>) -> &Arc<Self> {
        self.inherited.as_ref().unwrap_or(self)
    }

    /// The names of all handlers and the methods that they are called by, to be shown.
    pub(crate) fn handlers(&self) -> Vec<&dyn Debug> {
        let handlers = self.sets.iter().map(|slot| &slot.dispatcher);
        handlers.map(|handlers| handlers as &dyn Debug).collect()
    }

    /// The counts of all handlers.
    pub(crate) fn ledgers(&self) -> Vec<Arc<Ledger>> {
        let handlers = self.sets.iter();
        handlers
            .flat_map(|slot| slot.dispatcher.ledgers())
            .collect()
    }

    pub(crate) fn labels(&self) -> &Arc<Labels> {
        &self.labels
    }

    /// Whether a handler listens to the event. This is all that an unheard emission costs.
    #[inline]
    pub(crate) fn wants<E: Event>(&self) -> bool {
        self.interests::<E::Set>().contains(E::INDEX)
    }

    /// Whether a handler listens to any of these events of `S`, or to another set at all.
    pub(crate) fn hears<S: EventSet>(&self, events: Interests) -> bool {
        let id = TypeId::of::<S>();
        self.sets
            .iter()
            .any(|slot| slot.set != id || slot.interests.intersects(events))
    }

    /// What any handler listens to.
    #[inline]
    pub(crate) fn interests<S: EventSet>(&self) -> Interests {
        self.slot::<S>()
            .map_or(Interests::NONE, |slot| slot.interests)
    }

    pub(crate) fn route<S: EventSet>(&self, event: u32) -> Option<&Route<S>> {
        self.dispatcher::<S>()?.route(event)
    }

    /// Those who are asked about an event of `S`, in registration order, and how.
    pub(super) fn asked<S: EventSet>(
        &self,
        event: u32,
    ) -> impl Iterator<Item = (&Arc<Entry<S>>, Way)> {
        let dispatcher = self.dispatcher::<S>().into_iter();
        dispatcher.flat_map(move |dispatcher| dispatcher.asked(event))
    }

    fn dispatcher<S: EventSet>(&self) -> Option<&Dispatcher<S>> {
        (&*self.slot::<S>()?.dispatcher as &dyn Any).downcast_ref()
    }

    #[inline]
    fn slot<S: EventSet>(&self) -> Option<&Slot> {
        let id = TypeId::of::<S>();
        self.sets.iter().find(|slot| slot.set == id)
    }
}
