//! Emitting an event: at next to no cost if nobody listens, and by the shortest way to the handlers
//! that are called right here.

use std::future::{poll_fn, ready};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll};

use super::call::{Aftermath, Calls, poll_all};
use super::callback;
use super::delivering::{Prepared, Rest, deliver, deliver_inline, rest};
use super::dispatcher::Route;
use super::put_off::put_off;
use super::registry::Registry;
use super::sequencer::Sequencer;
use crate::{BoxFuture, EmitError, Event, EventSet, Run, RunInfo};

/// Where an event is emitted.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) registry: &'a Arc<Registry>,
    pub(crate) info: &'a RunInfo,
    pub(crate) sequencer: &'a Arc<Sequencer>,
    /// Whether the run is closed. Its start and its terminal event do not ask.
    pub(crate) closed: Option<&'a AtomicBool>,
}

impl Place<'_> {
    /// Whether an event can be delivered right away.
    #[inline]
    fn is_free(&self) -> bool {
        !callback::inside() && !self.sequencer.deferred.is_pending()
    }
}

/// What has a place. It is asked for it only if somebody listens.
pub(crate) trait Site: Sync {
    fn place(&self) -> Place<'_>;
}

/// Emits an event at a site where somebody listens to it: at none, if nobody does.
///
/// Inlined, and what it stores for an event that nobody listens to is all that such an event costs.
/// So everything else is in functions of its own, and gets what it needs by reference: a copy of
/// what was stored just now has to wait for the store.
#[allow(
    clippy::manual_async_fn,
    reason = "an `async fn` stores its arguments twice"
)]
#[inline]
pub(crate) fn emit<'a, E: Event + 'a>(
    heard: Option<&'a impl Site>,
    event: E,
) -> impl Future<Output = Result<(), EmitError>> + Send + 'a {
    async move {
        let Some(site) = heard else { return Ok(()) };
        let event = event.view();
        let place = site.place();
        let Some(route) = place.registry.route::<E::Set>(E::INDEX) else {
            return Ok(());
        };
        let here = !route.is_queued() && place.is_free();
        if here && !route.futures.is_empty() {
            return deliver_here(route, &place, &event).await;
        }
        let rest = if here {
            call_inline(route, &place, &event)
        } else {
            Some(emit_in_turn(route, &place, &event))
        };
        match rest {
            None => Ok(()),
            Some(rest) => finish(route, rest).await,
        }
    }
}

/// Delivers an event that is queued for nobody.
async fn deliver_here<'e, S: EventSet>(
    route: &Route<S>,
    place: &Place<'e>,
    event: &S::Ref<'e>,
) -> Result<(), EmitError> {
    let mut aftermath = Aftermath::default();
    let Some(seq) = deliver_inline(route, place, event, &mut [], &mut aftermath) else {
        return Err(EmitError::RunClosed);
    };
    let run = Run::new(place.info, seq);
    let rest =
        poll_fn(|cx| Poll::Ready(call_futures(route, &run, event, &mut aftermath, cx))).await;
    match rest {
        None => Ok(()),
        Some(rest) => finish(route, rest).await,
    }
}

#[cold]
fn finish<'a, S: EventSet>(
    route: &'a Route<S>,
    rest: Rest<'a>,
) -> BoxFuture<'a, Result<(), EmitError>> {
    Box::pin(async move {
        let raised = rest
            .await
            .and_then(|aftermath| aftermath.raise(&route.order));
        raised.map_err(|error| *error)
    })
}

/// Emits an event that is queued for somebody, or inside a callback, or where something was put off.
fn emit_in_turn<'a, 'e: 'a, S: EventSet>(
    route: &'a Route<S>,
    place: &'a Place<'e>,
    event: &'a S::Ref<'e>,
) -> Rest<'a> {
    Box::pin(async move {
        if callback::inside() {
            put_off(route, place, S::own(event))?;
            return Ok(Aftermath::default());
        }
        place.sequencer.turn().await;
        deliver(route, place, event, Prepared::default()).await
    })
}

/// Polls the async methods for an event that is queued for nobody. There is something left if one of
/// them has to be waited for, fails or emits.
#[inline(never)]
fn call_futures<'a, 'e: 'a, S: EventSet>(
    route: &'a Route<S>,
    run: &'a Run<'e>,
    event: &'a S::Ref<'e>,
    aftermath: &mut Aftermath,
    cx: &mut Context<'_>,
) -> Option<Rest<'a>> {
    let mut waiting = Vec::new();
    let futures = Calls {
        entries: &route.futures,
        receipts: &mut [],
    };
    poll_all(futures, run, event, aftermath, &mut waiting, cx);
    if waiting.is_empty() && aftermath.is_nothing() {
        return None;
    }
    Some(rest(std::mem::take(aftermath), waiting, false))
}

/// Delivers an event that only inline handlers listen to. There is something left if one of them
/// fails or emits.
#[inline(never)]
fn call_inline<'a, S: EventSet>(
    route: &'a Route<S>,
    place: &Place<'_>,
    event: &S::Ref<'_>,
) -> Option<Rest<'a>> {
    let mut aftermath = Aftermath::default();
    let seq = deliver_inline(route, place, event, &mut [], &mut aftermath);
    if seq.is_some() && aftermath.is_nothing() {
        return None;
    }
    Some(match seq {
        None => Box::pin(ready(Err(Box::new(EmitError::RunClosed)))),
        Some(_) => rest::<S>(aftermath, Vec::new(), false),
    })
}
