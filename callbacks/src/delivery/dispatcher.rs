//! Who listens to which event of one set, worked out when a handler is registered: an emission
//! searches nothing.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::call::quietly;
use super::ledger::Ledger;
use super::sequencer::Whose;
use crate::handler::{Handler, Narrowed, Options, Queue, Registered};
use crate::record::Sink;
use crate::{Deliver, EventSet, Interests};

/// One registered handler.
pub(crate) struct Entry<S: EventSet> {
    /// The address of the handler: one handler, however often registered, is one entry and has one
    /// lane in a run tree.
    pub(crate) id: usize,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) delivery: Arc<dyn Deliver<S> + Send + Sync>,
    pub(crate) options: Options,
    /// Where its events go instead of being handled here.
    pub(crate) sink: Option<Sink<S>>,
    /// Whether it is called for its answer: not, where nobody waits for that any longer.
    pub(super) asks: bool,
    plain: Interests,
    futures: Interests,
}

impl<S: EventSet> Entry<S> {
    pub(crate) fn new(handler: impl Handler<S>) -> Arc<Self> {
        Self::with_sink(handler, None)
    }

    pub(crate) fn with_sink(handler: impl Handler<S>, sink: Option<Sink<S>>) -> Arc<Self> {
        let Registered {
            delivery, options, ..
        } = handler.register();
        let id = Arc::as_ptr(&delivery).addr();
        let name = options.name.clone();
        let name = name.unwrap_or(Cow::Borrowed(delivery.name()));
        // Whoever can answer is asked.
        let except = options.except.without(S::DECISIONS);
        let only = options.only.unwrap_or(Interests::ALL);
        let to = only.union(S::DECISIONS).without(except);
        let mut has_methods = false;
        let delivery: Arc<dyn Deliver<S> + Send + Sync> = match to {
            Interests::ALL => delivery,
            to => {
                let methods = delivery.interests().union(delivery.async_interests());
                has_methods = !methods_of::<S>(methods).is_empty();
                Arc::new(Narrowed { delivery, to })
            }
        };
        // What is put around it knows what is left.
        let delivery = S::adapt(delivery);
        let entry = Self {
            id,
            ledger: Ledger::new(name, sink.is_none()),
            sink,
            asks: false,
            plain: delivery.interests().without(except),
            futures: delivery.async_interests().without(except),
            delivery,
            options,
        };
        if has_methods && entry.methods().is_empty() {
            // The subscriber is code of users.
            quietly(|| {
                tracing::warn!(
                    "the callback handler `{}` hears nothing: `only` and `except` leave none of the events it has \
                     methods for",
                    entry.ledger.name(),
                );
            });
        }
        Arc::new(entry)
    }

    /// The methods for the events that it is called for.
    fn methods(&self) -> Vec<&'static str> {
        methods_of::<S>(self.plain.union(self.futures))
    }

    /// The same handler, called through another delivery.
    pub(super) fn again(&self, delivery: Arc<dyn Deliver<S> + Send + Sync>) -> Self {
        Self {
            id: self.id,
            ledger: self.ledger.clone(),
            delivery,
            options: self.options.clone(),
            sink: None,
            asks: self.asks,
            plain: self.plain,
            futures: self.futures,
        }
    }

    /// By which of its methods it is called for an event.
    fn ways(&self, event: u32) -> impl Iterator<Item = Way> + use<S> {
        let plain = self.plain.contains(event).then_some(
            if self.options.inline && self.options.background.is_none() {
                Way::Inline
            } else {
                Way::Lane
            },
        );
        let future = self.futures.contains(event).then_some(Way::Future);
        plain.into_iter().chain(future)
    }

    /// Whether it has one queue for all run trees.
    pub(super) fn is_for_all_trees(&self) -> bool {
        self.sink.is_some() || self.options.lane.is_some()
    }

    /// Whose lane its events are queued in.
    pub(super) fn whose(&self) -> Whose {
        (self.id, self.options.lane.clone())
    }
}

fn methods_of<S: EventSet>(events: Interests) -> Vec<&'static str> {
    let methods = (0u32..).zip(S::METHODS);
    let methods = methods.filter(|(event, _)| events.contains(*event));
    methods.map(|(_, method)| *method).collect()
}

/// Who listens to one event, in registration order, by how they are called.
pub(crate) struct Route<S: EventSet> {
    /// Sync methods called right where the event is emitted.
    pub(crate) inline: Vec<Arc<Entry<S>>>,
    /// Sync methods called away from the event loop.
    pub(crate) lanes: Vec<Arc<Entry<S>>>,
    /// Async methods.
    pub(crate) futures: Vec<Arc<Entry<S>>>,
    /// Those who are called in the background, whatever their methods.
    pub(crate) background: Vec<Background<S>>,
    /// The ids of all handlers, in registration order.
    pub(crate) order: Arc<[usize]>,
}

/// How a handler is called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Inline,
    Lane,
    Future,
}

impl<S: EventSet> Route<S> {
    /// To one handler, called in one way.
    pub(super) fn to(entry: &Arc<Entry<S>>, way: Way) -> Self {
        let order = Arc::new([entry.id]);
        let of = |wanted| (way == wanted).then(|| entry.clone()).into_iter().collect();
        Self {
            inline: of(Way::Inline),
            lanes: of(Way::Lane),
            futures: of(Way::Future),
            background: Vec::new(),
            order,
        }
    }

    /// Whether the event is queued for anybody.
    pub(super) fn is_queued(&self) -> bool {
        !self.lanes.is_empty() || !self.background.is_empty()
    }
}

/// A handler whose events are queued, and not waited for.
pub(crate) struct Background<S: EventSet> {
    pub(crate) entry: Arc<Entry<S>>,
    pub(crate) queue: Queue,
    /// Whether it has a sync method for the event.
    pub(crate) call: bool,
    /// Whether it has an async method for the event.
    pub(crate) task: bool,
}

impl<S: EventSet> Background<S> {
    /// How many of its methods the event is for.
    pub(super) fn calls(&self) -> usize {
        usize::from(self.call) + usize::from(self.task)
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
        let awaited = |entry: &Entry<S>, event, way| {
            entry.options.background.is_none() && entry.ways(event).any(|of| of == way)
        };
        let routes = (0u32..)
            .take(S::METHODS.len())
            .map(|event| Route {
                inline: listeners(&|entry| awaited(entry, event, Way::Inline)),
                lanes: listeners(&|entry| awaited(entry, event, Way::Lane)),
                futures: listeners(&|entry| awaited(entry, event, Way::Future)),
                background: background(&entries, event),
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

    /// The counts of all handlers.
    pub(crate) fn ledgers(&self) -> impl Iterator<Item = &Arc<Ledger>> {
        self.entries.iter().map(|entry| &entry.ledger)
    }

    /// These, then those of the other.
    pub(crate) fn merged(&self, other: &Self) -> Self {
        Self::new(self.entries.iter().chain(&other.entries).cloned())
    }

    /// All that any handler listens to.
    pub(crate) fn interests(&self) -> Interests {
        self.interests
    }

    /// Those who are asked about an event, in registration order, and how.
    pub(super) fn asked(&self, event: u32) -> impl Iterator<Item = (&Arc<Entry<S>>, Way)> {
        let entries = self.entries.iter();
        entries.flat_map(move |entry| entry.ways(event).map(move |way| (entry, way)))
    }

    pub(crate) fn route(&self, event: u32) -> Option<&Route<S>> {
        self.routes.get(usize::try_from(event).ok()?)
    }
}

fn background<S: EventSet>(entries: &[Arc<Entry<S>>], event: u32) -> Vec<Background<S>> {
    let listening = |entry: &Arc<Entry<S>>| {
        let (call, task) = (entry.plain.contains(event), entry.futures.contains(event));
        let queue = entry.options.background.filter(|_| call || task)?;
        Some(Background {
            entry: entry.clone(),
            queue,
            call,
            task,
        })
    };
    entries.iter().filter_map(listening).collect()
}

impl<S: EventSet> fmt::Debug for Dispatcher<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.entries.iter();
        let heard = entries.map(|entry| (entry.ledger.name(), entry.methods()));
        f.debug_map().entries(heard).finish()
    }
}
