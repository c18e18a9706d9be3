//! Emitting an event: at next to no cost if nobody listens, and by the shortest way where there is nothing to
//! wait for before it: neither a callback around it, nor what was put off, nor room in a queue.

use std::future::{poll_fn, ready};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll};

use super::aftermath::Aftermath;
use super::call::{Calls, poll_all};
use super::callback;
use super::delivering::{Prepared, deliver, reach_inline, reach_queues, wait_for_all};
use super::dispatcher::Route;
use super::perhaps::Perhaps;
use super::put_off::put_off;
use super::registry::Registry;
use super::sequencer::Sequencer;
use super::waiting::Waiting;
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

impl<'a> Place<'a> {
    /// The run, as handlers of the event with this number see it.
    #[inline]
    pub(super) fn run(&self, seq: u64) -> Run<'a> {
        Run::new(self.info, seq, self.sequencer.recorded_at())
    }

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
#[inline]
pub(crate) fn emit<'a, E: Event + 'a>(
    heard: Option<&'a impl Site>,
    event: E,
) -> impl Future<Output = Result<(), EmitError>> + Send + 'a {
    Perhaps::new(heard.map(|site| {
        let any = event.into_any();
        async move {
            let mut run = None;
            let mut first = Some(&mut run);
            let begun = poll_fn(|cx| {
                let begin = |run| begin::<E::Set>(site, E::INDEX, E::any(&any), run, cx);
                Poll::Ready(first.take().and_then(begin))
            });
            match begun.await {
                None => Ok(()),
                Some(rest) => rest.await,
            }
        }
    }))
}

/// What is left of an emission.
type Rest<'a> = BoxFuture<'a, Result<(), Box<EmitError>>>;

/// Delivers an event as far as that goes without waiting. What is left waits, or fails.
#[inline(never)]
fn begin<'a, 'e: 'a, S: EventSet>(
    site: &'e impl Site,
    event: u32,
    view: &'a S::Ref<'e>,
    run: &'a mut Option<Run<'e>>,
    cx: &mut Context<'_>,
) -> Option<Rest<'a>> {
    let place = site.place();
    let route = place.registry.route::<S>(event)?;
    if !place.is_free() {
        return Some(emit_in_turn(route, place, view));
    }
    if route.is_queued() {
        return begin_queued(route, place, view, run, cx);
    }
    let mut aftermath = Aftermath::default();
    let Some(seq) = reach_inline(route, &place, view, &mut [], &mut aftermath) else {
        return Some(closed());
    };
    let mut waiting = Vec::new();
    if !route.futures.is_empty() {
        let run = run.insert(place.run(seq));
        let futures = Calls {
            entries: &route.futures,
            receipts: &mut [],
        };
        poll_all(futures, run, view, &mut aftermath, &mut waiting, cx);
    }
    finish(route, aftermath, waiting)
}

/// The same for an event that is queued for somebody, if there is room.
#[inline(never)]
fn begin_queued<'a, 'e: 'a, S: EventSet>(
    route: &'a Route<S>,
    place: Place<'e>,
    view: &'a S::Ref<'e>,
    run: &'a mut Option<Run<'e>>,
    cx: &mut Context<'_>,
) -> Option<Rest<'a>> {
    let mut prepared = Prepared::default();
    let mut reached = match reach_queues(route, &place, view, &mut prepared) {
        Ok(Some(reached)) => reached,
        Ok(None) => return Some(closed()),
        Err(_full) => return Some(emit_in_turn(route, place, view)),
    };
    let run = run.insert(place.run(reached.seq));
    let waiting = reached.reach_others(route, run, view, &mut prepared, cx);
    finish(route, reached.aftermath, waiting)
}

/// Waits for what is left, if anything is.
#[inline]
fn finish<'a, S: EventSet>(
    route: &'a Route<S>,
    aftermath: Aftermath,
    waiting: Vec<Waiting<'a, S>>,
) -> Option<Rest<'a>> {
    if waiting.is_empty() && aftermath.is_nothing() {
        return None;
    }
    Some(finish_later(route, aftermath, waiting))
}

#[inline(never)]
fn finish_later<'a, S: EventSet>(
    route: &'a Route<S>,
    aftermath: Aftermath,
    waiting: Vec<Waiting<'a, S>>,
) -> Rest<'a> {
    let rest = wait_for_all(aftermath, waiting, false);
    Box::pin(async move { rest.await.raise(&route.order) })
}

#[cold]
fn closed<'a>() -> Rest<'a> {
    Box::pin(ready(Err(Box::new(EmitError::RunClosed))))
}

/// Emits an event inside a callback, or where something was put off or a queue is full.
#[cold]
fn emit_in_turn<'a, 'e: 'a, S: EventSet>(
    route: &'a Route<S>,
    place: Place<'e>,
    event: &'a S::Ref<'e>,
) -> Rest<'a> {
    Box::pin(async move {
        if callback::inside() {
            return put_off(route, &place, S::own(event));
        }
        place.sequencer.turn().await;
        let delivered = deliver(route, &place, event, Prepared::default()).await;
        delivered?.raise(&route.order)
    })
}
