//! Putting off an event that is emitted inside a callback.

use std::sync::Arc;

use super::call::quietly;
use super::callback;
use super::deferred::Turn;
use super::delivering::{Prepared, deliver};
use super::dispatcher::Route;
use super::emission::Place;
use super::receipts::Receipts;
use super::surroundings::Surroundings;
use crate::{EmitError, EventSet, Live};

/// An event to be put off: copied, but not queued yet.
pub(crate) struct PutOff<S: EventSet> {
    event: Arc<S::Owned>,
    surroundings: Surroundings,
}

impl<S: EventSet> PutOff<S> {
    pub(crate) fn new(event: S::Owned) -> Self {
        Self {
            event: Arc::new(event),
            surroundings: Surroundings::here(),
        }
    }

    pub(crate) fn event(&self) -> &S::Owned {
        &self.event
    }

    /// Queues it; `None` if the run is closed. It is delivered once the emission around it has
    /// reached all its handlers, and `then` is told what that raised.
    ///
    /// It runs no code of users, so that it can be called under a lock.
    pub(crate) fn queue(
        self,
        route: &Route<S>,
        place: &Place<'_>,
        then: impl FnOnce(Result<(), Box<EmitError>>) + Send + 'static,
    ) -> Option<Turn> {
        let Self {
            event,
            surroundings,
        } = self;
        let (registry, info) = (place.registry.clone(), Live::from(place.info.clone()));
        let sequencer = place.sequencer.clone();
        let work = || {
            let prepared = Prepared {
                owned: Some(event.clone()),
                receipts: Some(Box::new(Receipts::of(route))),
                // Here a full queue would hold up the whole run tree.
                passes: true,
                detached: true,
                on_lanes: true,
            };
            let delivered = async move {
                let view = S::view(&event);
                let place = Place {
                    registry: &registry,
                    info: &info,
                    sequencer: &sequencer,
                    closed: None,
                };
                if let Some(route) = registry.route::<S>(S::index(&view)) {
                    let delivered = deliver(route, &place, &view, prepared).await;
                    then(delivered.and_then(|aftermath| aftermath.raise(&route.order)));
                }
                // It may be the last to have the handlers.
                quietly(|| drop((registry, event, info)));
            };
            Box::pin(surroundings.around(delivered)) as _
        };
        let deferred = &place.sequencer.deferred;
        deferred.push(place.closed, callback::holds(), work)
    }
}

/// Puts off an event of a run, if that is open. What it raises reaches nobody; it is logged.
#[cold]
pub(super) fn put_off<S: EventSet>(
    route: &Route<S>,
    place: &Place<'_>,
    event: S::Owned,
) -> Result<(), Box<EmitError>> {
    let then = |raised| quietly(|| drop(raised));
    let turn = PutOff::new(event).queue(route, place, then);
    turn.map(callback::owe)
        .ok_or_else(|| Box::new(EmitError::RunClosed))
}
