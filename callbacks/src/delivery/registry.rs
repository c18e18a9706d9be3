//! Handlers of any number of event sets, with tags and metadata. It never changes: a change makes
//! another one, so that an emission takes no lock.

use std::any::{Any, TypeId};
use std::sync::Arc;

use super::dispatcher::{Dispatcher, Entry, Route};
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
    /// A `Dispatcher<S>`.
    dispatcher: Arc<dyn Any + Send + Sync>,
}

impl Registry {
    /// With one more handler.
    pub(crate) fn with<S: EventSet>(&self, entry: &Arc<Entry<S>>, reach: Reach) -> Self {
        self.changed(reach, &|registry| {
            let id = TypeId::of::<S>();
            let known = registry.dispatcher::<S>();
            let dispatcher = match known {
                Some(known) => known.with(entry.clone()),
                None => Dispatcher::new([entry.clone()]),
            };
            let slot = Slot {
                set: id,
                interests: dispatcher.interests(),
                dispatcher: Arc::new(dispatcher),
            };
            match registry.sets.iter_mut().find(|slot| slot.set == id) {
                Some(known) => *known = slot,
                None => registry.sets.push(slot),
            }
        })
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

    fn dispatcher<S: EventSet>(&self) -> Option<&Dispatcher<S>> {
        self.slot::<S>()?.dispatcher.downcast_ref()
    }

    #[inline]
    fn slot<S: EventSet>(&self) -> Option<&Slot> {
        let id = TypeId::of::<S>();
        self.sets.iter().find(|slot| slot.set == id)
    }
}
