//! Delivering one event to all that listen to it.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll};

use futures_util::future::join_all;
use tokio::sync::{Semaphore, oneshot};

use super::call::{Aftermath, Called, Calls, call_all, poll_all, quietly};
use super::callback;
use super::dispatcher::Route;
use super::lane::Ticket;
use super::ledger::Receipt;
use super::queued::{Emission, QueuedCall, Surroundings};
use super::receipts::{self, Receipts};
use super::registry::Registry;
use super::room::{self, Room};
use super::sequencer::{Queued, Sequencer};
use super::waiting::{Reply, Verdict, Waiting};
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

/// What an event has before it is delivered, if it was on its way for some time.
pub(crate) struct Prepared<S: EventSet> {
    /// The copy that is shared by all who need one.
    pub(crate) owned: Option<Arc<S::Owned>>,
    /// What counts it already.
    pub(crate) receipts: Option<Box<Receipts>>,
    /// Whether it passes full queues: starts and terminal events do.
    pub(crate) passes: bool,
    /// Whether nobody waits for what its handlers put off. What is put off itself does not, nor does
    /// a closing that may be: they would wait for what comes after them.
    pub(crate) detached: bool,
}

impl<S: EventSet> Default for Prepared<S> {
    fn default() -> Self {
        Self {
            owned: None,
            receipts: None,
            passes: false,
            detached: false,
        }
    }
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
        let rest = if !place.is_free() {
            emit_in_turn(route, &place, &event)
        } else if route.is_inline() {
            match call_inline(route, &place, &event) {
                None => return Ok(()),
                Some(rest) => rest,
            }
        } else {
            let delivered = deliver(route, &place, &event, Prepared::default()).await;
            return delivered.map_err(|error| *error);
        };
        rest.await.map_err(|error| *error)
    }
}

/// What is left of a delivery. The error is boxed on its way up, for it is large and rare.
type Rest<'a> = BoxFuture<'a, Result<(), Box<EmitError>>>;

/// Emits an event inside a callback, or where something was put off.
#[cold]
fn emit_in_turn<'a, 'e: 'a, S: EventSet>(
    route: &'a Route<S>,
    place: &'a Place<'e>,
    event: &'a S::Ref<'e>,
) -> Rest<'a> {
    Box::pin(async move {
        if callback::inside() {
            return put_off(route, place, S::own(event), false, ()).map_err(Box::new);
        }
        place.sequencer.turn().await;
        deliver(route, place, event, Prepared::default()).await
    })
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
    Some(Box::pin(async move {
        if seq.is_none() {
            return Err(Box::new(EmitError::RunClosed));
        }
        Waiting::<S>::turns(aftermath.take_turns()).await;
        aftermath.raise(&route.order)
    }))
}

/// Delivers an event to the handlers that listen to it, and returns when those that are waited for
/// are done with it.
///
/// Queues are filled first, for that is where the event gets its number. Then the inline handlers
/// are called, and each async method is polled once in registration order, so that the event reaches
/// every handler before anything is waited for; most are ready then. Only then is it let go in the
/// lanes: nothing that a method does there comes before it.
///
/// What is kept while something is waited for is in a box of its own, so that the emissions that
/// wait for nobody are small.
pub(crate) async fn deliver<'e, S: EventSet>(
    route: &Route<S>,
    place: &Place<'e>,
    event: &S::Ref<'e>,
    mut prepared: Prepared<S>,
) -> Result<(), Box<EmitError>> {
    let reached = match reach(route, place, event, &mut prepared) {
        Ok(reached) => reached,
        Err(full) => Box::pin(reach_with_room(route, place, event, &mut prepared, full)).await,
    };
    let Some(mut reached) = reached else {
        return Err(Box::new(EmitError::RunClosed));
    };
    let run = Run::new(place.info, reached.seq);
    let rest = poll_fn(|cx| Poll::Ready(reached.poll(route, &run, event, &mut prepared, cx))).await;
    match rest {
        None => reached.aftermath.raise(&route.order),
        Some(rest) => rest.await,
    }
}

/// An event that has its number, and has reached the inline handlers.
struct Reached {
    seq: u64,
    aftermath: Aftermath,
    /// What is queued in lanes, if anything is.
    queued: Option<Box<InLanes>>,
}

struct InLanes {
    tickets: Vec<Ticket>,
    replies: Vec<Reply>,
}

impl Reached {
    /// Polls the async methods once and lets the event go in the lanes. What has to be waited for is
    /// left.
    fn poll<'a, 'e: 'a, S: EventSet>(
        &mut self,
        route: &'a Route<S>,
        run: &'a Run<'e>,
        event: &'a S::Ref<'e>,
        prepared: &mut Prepared<S>,
        cx: &mut Context<'_>,
    ) -> Option<Rest<'a>> {
        let mut waiting = Vec::new();
        let futures = Calls {
            entries: &route.futures,
            receipts: receipts::of(&mut prepared.receipts, |all| &mut all.futures),
        };
        poll_all(futures, run, event, &mut self.aftermath, &mut waiting, cx);
        if let Some(queued) = self.queued.take() {
            drop(queued.tickets);
            let replies = queued.replies.into_iter().zip(&route.lanes);
            waiting.extend(replies.map(|(reply, entry)| {
                Waiting::reply(reply, Called::new(entry, run, S::index(event)))
            }));
        }
        let turns = self.aftermath.take_turns();
        if !prepared.detached {
            waiting.iter_mut().for_each(Waiting::follow);
            if !turns.is_empty() {
                waiting.push(Waiting::turns(turns));
            }
        }
        if waiting.is_empty() {
            return None;
        }
        let mut aftermath = std::mem::take(&mut self.aftermath);
        Some(Box::pin(async move {
            for others in join_all(waiting).await {
                aftermath.add(others);
            }
            aftermath.raise(&route.order)
        }))
    }
}

/// The queues of background handlers that have no room.
struct Full(Vec<Arc<Semaphore>>);

/// Numbers and queues an event, and calls the inline handlers. `None` if the run is closed.
fn reach<S: EventSet>(
    route: &Route<S>,
    place: &Place<'_>,
    event: &S::Ref<'_>,
    prepared: &mut Prepared<S>,
) -> Result<Option<Reached>, Full> {
    let mut aftermath = Aftermath::default();
    if !route.is_queued() {
        let receipts = receipts::of(&mut prepared.receipts, |all| &mut all.inline);
        let seq = deliver_inline(route, place, event, receipts, &mut aftermath);
        let queued = None;
        return Ok(seq.map(|seq| Reached {
            seq,
            aftermath,
            queued,
        }));
    }
    let queues = &route.background;
    let room = if prepared.passes || queues.is_empty() {
        queues.iter().map(|_| Room::Passes).collect()
    } else {
        let places = place.sequencer.places(queues);
        room::at_once(queues, &places).ok_or(Full(places))?
    };
    Ok(deliver_queued(route, place, event, prepared, room))
}

async fn reach_with_room<S: EventSet>(
    route: &Route<S>,
    place: &Place<'_>,
    event: &S::Ref<'_>,
    prepared: &mut Prepared<S>,
    Full(places): Full,
) -> Option<Reached> {
    let room = room::wait(&route.background, places).await;
    deliver_queued(route, place, event, prepared, room)
}

/// Numbers an event that is queued for nobody, and calls the inline handlers.
#[inline]
fn deliver_inline<S: EventSet>(
    route: &Route<S>,
    place: &Place<'_>,
    event: &S::Ref<'_>,
    receipts: &mut [Option<Receipt>],
    aftermath: &mut Aftermath,
) -> Option<u64> {
    let seq = place.sequencer.number(place.closed)?;
    let calls = Calls {
        entries: &route.inline,
        receipts,
    };
    call_all(calls, &Run::new(place.info, seq), event, aftermath);
    Some(seq)
}

/// Numbers an event, queues it, and calls the inline handlers.
#[inline(never)]
fn deliver_queued<S: EventSet>(
    route: &Route<S>,
    place: &Place<'_>,
    event: &S::Ref<'_>,
    prepared: &mut Prepared<S>,
    room: Vec<Room>,
) -> Option<Reached> {
    let owned = prepared.owned.take();
    let owned = owned.unwrap_or_else(|| Arc::new(S::own(event)));
    let surroundings = Surroundings::here();
    let call = |entry: &Arc<_>| QueuedCall {
        entry: Arc::clone(entry),
        surroundings: surroundings.clone(),
        info: place.info.clone(),
        event: owned.clone(),
    };
    let mut events = Vec::with_capacity(route.lanes.len() + route.background.len());
    let mut replies = Vec::with_capacity(route.lanes.len());
    let receipts = receipts::of(&mut prepared.receipts, |all| &mut all.lanes);
    let mut receipts = receipts.iter_mut().filter_map(Option::take);
    for entry in &route.lanes {
        let (reply, answer) = oneshot::channel();
        let verdict = Verdict::within(entry.options.timeout);
        replies.push(Reply {
            answer,
            verdict: verdict.clone(),
        });
        events.push(Queued {
            ledger: &entry.ledger,
            receipt: receipts.next(),
            to: call(entry).awaited(Emission { reply, verdict }),
        });
    }
    let receipts = receipts::of(&mut prepared.receipts, |all| &mut all.background);
    let mut receipts = receipts.iter_mut().filter_map(Option::take);
    for (to, room) in route.background.iter().zip(room) {
        for job in call(&to.entry).background(to, room) {
            events.push(Queued {
                ledger: &to.entry.ledger,
                receipt: receipts.next(),
                to: job,
            });
        }
    }
    let (seq, tickets) = place.sequencer.enqueue(place.closed, events)?;
    let calls = Calls {
        entries: &route.inline,
        receipts: receipts::of(&mut prepared.receipts, |all| &mut all.inline),
    };
    let mut aftermath = Aftermath::default();
    call_all(calls, &Run::new(place.info, seq), event, &mut aftermath);
    let queued = Some(Box::new(InLanes { tickets, replies }));
    Some(Reached {
        seq,
        aftermath,
        queued,
    })
}

/// Emits an event inside a callback: it is delivered once the emission around it has reached all its
/// handlers. What is to happen after that happens when `then` is dropped.
#[cold]
pub(crate) fn put_off<S: EventSet>(
    route: &Route<S>,
    place: &Place<'_>,
    event: S::Owned,
    passes: bool,
    then: impl Send + 'static,
) -> Result<(), EmitError> {
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
                let raised = deliver(route, &place, &view, prepared).await;
                quietly(|| drop(raised));
            }
        };
        Box::pin(surroundings.around(delivered)) as _
    };
    let turn = place.sequencer.deferred.push(place.closed, work);
    turn.map(callback::owe).ok_or(EmitError::RunClosed)
}
