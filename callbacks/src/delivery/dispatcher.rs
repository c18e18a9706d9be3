//! Who listens to which event of one set, worked out when a handler is registered: an emission
//! searches nothing.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::handler::{Handler, Narrowed, Options, Registered};
use crate::{Deliver, EventSet, Interests};

/// One registered handler.
pub(crate) struct Entry<S: EventSet> {
    /// The address of the handler: one handler, however often registered, is one entry and has one
    /// lane in a run tree.
    pub(crate) id: usize,
    pub(crate) name: Cow<'static, str>,
    pub(crate) delivery: Arc<dyn Deliver<S> + Send + Sync>,
    pub(crate) options: Options,
    plain: Interests,
    futures: Interests,
}

impl<S: EventSet> Entry<S> {
    pub(crate) fn new(handler: impl Handler<S>) -> Arc<Self> {
        let Registered {
            delivery, options, ..
        } = handler.register();
        let id = Arc::as_ptr(&delivery).addr();
        let name = options.name.clone();
        let name = name.unwrap_or(Cow::Borrowed(delivery.name()));
        let to = options.only.unwrap_or(Interests::ALL);
        let to = to.without(options.except);
        let delivery: Arc<dyn Deliver<S> + Send + Sync> = match to {
            Interests::ALL => delivery,
            to => Arc::new(Narrowed { delivery, to }),
        };
        // What is put around it knows what is left.
        let delivery = S::adapt(delivery);
        Arc::new(Self {
            id,
            name,
            plain: delivery.interests().without(options.except),
            futures: delivery.async_interests().without(options.except),
            delivery,
            options,
        })
    }
}

/// Who listens to one event, in registration order, by how they are called.
pub(crate) struct Route<S: EventSet> {
    /// Sync methods called right where the event is emitted.
    pub(crate) inline: Vec<Arc<Entry<S>>>,
    /// Sync methods called away from the event loop.
    pub(crate) lanes: Vec<Arc<Entry<S>>>,
    /// Async methods.
    pub(crate) futures: Vec<Arc<Entry<S>>>,
    /// The ids of all handlers, in registration order.
    pub(crate) order: Arc<[usize]>,
}

impl<S: EventSet> Route<S> {
    /// Whether there is nothing to wait for.
    pub(super) fn is_inline(&self) -> bool {
        self.lanes.is_empty() && self.futures.is_empty()
    }
}

/// The handlers of one set. It never changes: a change makes another one.
pub(crate) struct Dispatcher<S: EventSet> {
    entries: Vec<Arc<Entry<S>>>,
    routes: Vec<Route<S>>,
    interests: Interests,
}

impl<S: EventSet> Dispatcher<S> {
    /// These handlers, each once.
    pub(crate) fn new(handlers: impl IntoIterator<Item = Arc<Entry<S>>>) -> Self {
        let mut entries: Vec<Arc<Entry<S>>> = Vec::new();
        for entry in handlers {
            if entries.iter().all(|known| known.id != entry.id) {
                entries.push(entry);
            }
        }
        let listeners = |listens: &dyn Fn(&Entry<S>) -> bool| {
            let listeners = entries.iter().filter(|entry| listens(entry));
            listeners.cloned().collect::<Vec<_>>()
        };
        let order: Arc<[usize]> = entries.iter().map(|entry| entry.id).collect();
        let routes = (0u32..)
            .take(S::METHODS.len())
            .map(|event| Route {
                inline: listeners(&|entry| entry.plain.contains(event) && entry.options.inline),
                lanes: listeners(&|entry| entry.plain.contains(event) && !entry.options.inline),
                futures: listeners(&|entry| entry.futures.contains(event)),
                order: order.clone(),
            })
            .collect();
        let interests = entries
            .iter()
            .map(|entry| entry.plain.union(entry.futures))
            .fold(Interests::NONE, Interests::union);
        Self {
            entries,
            routes,
            interests,
        }
    }

    /// These, then those of the other.
    pub(crate) fn merged(&self, other: &Self) -> Self {
        Self::new(self.entries.iter().chain(&other.entries).cloned())
    }

    /// All that any handler listens to.
    pub(crate) fn interests(&self) -> Interests {
        self.interests
    }

    pub(crate) fn route(&self, event: u32) -> Option<&Route<S>> {
        self.routes.get(usize::try_from(event).ok()?)
    }
}

impl<S: EventSet> fmt::Debug for Dispatcher<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.entries.iter().map(|entry| &entry.name);
        f.debug_list().entries(names).finish()
    }
}
