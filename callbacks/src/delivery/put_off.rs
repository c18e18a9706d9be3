//! Putting off an event that is emitted inside a callback.

use std::sync::Arc;

use super::call::quietly;
use super::callback;
use super::delivering::{Prepared, deliver};
use super::dispatcher::Route;
use super::emission::Place;
use super::queued::Surroundings;
use super::receipts::Receipts;
use crate::{EmitError, EventSet};

/// The event is delivered once the emission around it has reached all its
/// handlers. What is to happen after that happens when `then` is dropped.
#[cold]
pub(crate) fn put_off<S: EventSet>(
    route: &Route<S>,
    place: &Place<'_>,
    event: S::Owned,
    passes: bool,
    then: impl Send + 'static,
) -> Result<(), Box<EmitError>> {
    let event = Arc::new(event);
    let (registry, info) = (place.registry.clone(), place.info.clone());
    let sequencer = place.sequencer.clone();
    let surroundings = Surroundings::here();
    let work = || {
        let prepared = Prepared {
            owned: Some(event.clone()),
            receipts: Some(Box::new(Receipts::of(route))),
            passes,
            detached: true,
        };
        let delivered = async move {
            let _then = then;
            let view = S::view(&event);
            let place = Place {
                registry: &registry,
                info: &info,
                sequencer: &sequencer,
                closed: None,
            };
            if let Some(route) = registry.route::<S>(S::index(&view)) {
                // There is no emitter any more to raise anything to. It is logged.
                let aftermath = deliver(route, &place, &view, prepared).await;
                quietly(|| drop(aftermath));
            }
        };
        Box::pin(surroundings.around(delivered)) as _
    };
    let turn = place.sequencer.deferred.push(place.closed, work);
    turn.map(callback::owe)
        .ok_or_else(|| Box::new(EmitError::RunClosed))
}
