//! Delivering one event to all that listen to it, however they are called.

use std::future::poll_fn;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::join_all;
use tokio::sync::{Semaphore, oneshot};

use super::aftermath::Aftermath;
use super::blocking::{self, is_blocked};
use super::call::{Called, Calls, call_all, poll_all};
use super::dispatcher::Route;
use super::emission::Place;
use super::ledger::Receipt;
use super::queued::{Emission, QueuedCall};
use super::receipts::{self, Receipts};
use super::room::{self, Room};
use super::sequencer::{Addressed, Held};
use super::surroundings::Surroundings;
use super::waiting::{OnLane, Verdict, Waiting};
use crate::{EmitError, EventSet, Run};

/// What an event has before it is delivered, if it was on its way for some time.
pub(crate) struct Prepared<S: EventSet> {
    /// The copy that is shared by all who need one.
    pub(crate) owned: Option<Arc<S::Owned>>,
    /// What counts it already.
    pub(crate) receipts: Option<Box<Receipts>>,
    /// Whether it passes full queues: starts, terminal events and what was put off do.
    pub(crate) passes: bool,
    /// Whether what its handlers put off is not waited for here. What is put off itself does not, nor
    /// does a closing that may be: they would wait for what comes after them.
    pub(crate) detached: bool,
    /// Whether plain methods are called on their lanes, though a thread waits here: it may be another's
    /// emission that it drives.
    pub(crate) on_lanes: bool,
}

impl<S: EventSet> Default for Prepared<S> {
    fn default() -> Self {
        Self {
            owned: None,
            receipts: None,
            passes: false,
            detached: false,
            on_lanes: false,
        }
    }
}

/// Delivers an event to the handlers that listen to it, and returns when those that are waited for
/// are done with it; or that the run is closed.
///
/// Queues are filled first, for that is where the event gets its number. Then the inline handlers
/// are called, and each async method is polled once in registration order, so that the event reaches
/// every handler before anything is waited for; most are ready then. Only then is it let go in the
/// lanes: nothing that a method does there comes before it.
pub(crate) async fn deliver<'e, S: EventSet>(
    route: &Route<S>,
    place: &Place<'e>,
    event: &S::Ref<'e>,
    mut prepared: Prepared<S>,
) -> Result<Aftermath, Box<EmitError>> {
    let reached = match reach(route, place, event, &mut prepared) {
        Ok(reached) => reached,
        Err(full) => Box::pin(reach_with_room(route, place, event, &mut prepared, full)).await,
    };
    let Some(mut reached) = reached else {
        return Err(Box::new(EmitError::RunClosed));
    };
    let run = place.run(reached.seq);
    let detached = prepared.detached;
    let waiting = poll_fn(|cx| {
        let prepared = &mut prepared;
        Poll::Ready(reached.reach_others(route, &run, event, prepared, cx))
    })
    .await;
    Ok(wait_for_all(reached.aftermath, waiting, detached).await)
}

/// An event that has its number, and has reached the inline handlers.
pub(super) struct Reached {
    pub(super) seq: u64,
    pub(super) aftermath: Aftermath,
    queued: InQueues,
}

/// What is queued of an event, and whoever is waited for of it.
#[derive(Default)]
struct InQueues {
    held: Vec<Held>,
    on_lanes: Vec<OnLane>,
}

impl Reached {
    /// Polls the async methods once and lets the event go in the lanes. What has to be waited for is
    /// left.
    pub(super) fn reach_others<'a, 'e: 'a, S: EventSet>(
        &mut self,
        route: &'a Route<S>,
        run: &'a Run<'e>,
        event: &'a S::Ref<'e>,
        prepared: &mut Prepared<S>,
        cx: &mut Context<'_>,
    ) -> Vec<Waiting<'a, S>> {
        let mut waiting = Vec::new();
        let futures = Calls {
            entries: &route.futures,
            receipts: receipts::of(&mut prepared.receipts, |all| &mut all.futures),
        };
        poll_all(futures, run, event, &mut self.aftermath, &mut waiting, cx);
        // What runs in the lanes from now on comes after what was put off here.
        self.aftermath.release();
        let InQueues { held, on_lanes } = mem::take(&mut self.queued);
        if !held.is_empty() {
            let here = is_blocked() && !prepared.on_lanes;
            release_all(held, if here { on_lanes.len() } else { 0 });
            let on_lanes = on_lanes.into_iter().zip(&route.lanes);
            waiting.extend(on_lanes.map(|(call, entry)| {
                Waiting::on_lane(call, Called::new(entry, run, S::index(event)))
            }));
        }
        waiting
    }
}

/// Waits for those who are not ready, and for what was put off unless that is not to be.
pub(super) fn wait_for_all<S: EventSet>(
    mut aftermath: Aftermath,
    mut waiting: Vec<Waiting<'_, S>>,
    detached: bool,
) -> impl Future<Output = Aftermath> {
    aftermath.release();
    if detached {
        aftermath.hand_on();
    } else {
        waiting.iter_mut().for_each(Waiting::follow);
        let turns = aftermath.take_turns();
        waiting.extend((!turns.is_empty()).then(|| Waiting::turns(turns)));
    }
    async move {
        for others in join_all(waiting).await {
            aftermath.add(others);
        }
        aftermath
    }
}

/// Lets the event go in the lanes. A thread that waits calls the first methods itself, so many of them;
/// after it has let go of all, so that nobody else waits for them.
fn release_all(mut held: Vec<Held>, here: usize) {
    if here == 0 {
        return;
    }
    let others = held.split_off(here);
    held.iter().for_each(Held::release);
    drop(others);
    blocking::call_here(|| held.into_iter().for_each(Held::run_here));
}

/// The queues of background handlers that have no room.
pub(super) struct Full(Vec<Arc<Semaphore>>);

/// Numbers and queues an event, and calls the inline handlers. `None` if the run is closed.
fn reach<S: EventSet>(
    route: &Route<S>,
    place: &Place<'_>,
    event: &S::Ref<'_>,
    prepared: &mut Prepared<S>,
) -> Result<Option<Reached>, Full> {
    if route.is_queued() {
        return reach_queues(route, place, event, prepared);
    }
    let mut aftermath = Aftermath::default();
    let receipts = receipts::of(&mut prepared.receipts, |all| &mut all.inline);
    let seq = reach_inline(route, place, event, receipts, &mut aftermath);
    Ok(seq.map(|seq| Reached {
        seq,
        aftermath,
        queued: InQueues::default(),
    }))
}

/// Numbers an event that is queued for nobody, and calls the inline handlers.
#[inline]
pub(super) fn reach_inline<S: EventSet>(
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
    call_all(calls, &place.run(seq), event, aftermath);
    Some(seq)
}

/// The same for an event that is queued for somebody, if there is room.
#[inline(never)]
pub(super) fn reach_queues<S: EventSet>(
    route: &Route<S>,
    place: &Place<'_>,
    event: &S::Ref<'_>,
    prepared: &mut Prepared<S>,
) -> Result<Option<Reached>, Full> {
    let queues = &route.background;
    let room = if prepared.passes || queues.is_empty() {
        queues.iter().map(|_| Room::Passes).collect()
    } else {
        place.sequencer.try_room(queues).map_err(Full)?
    };
    Ok(fill_queues(route, place, event, prepared, room))
}

async fn reach_with_room<S: EventSet>(
    route: &Route<S>,
    place: &Place<'_>,
    event: &S::Ref<'_>,
    prepared: &mut Prepared<S>,
    Full(places): Full,
) -> Option<Reached> {
    let room = room::acquire(&route.background, places).await;
    fill_queues(route, place, event, prepared, room)
}

/// Numbers an event, queues it, and calls the inline handlers.
fn fill_queues<S: EventSet>(
    route: &Route<S>,
    place: &Place<'_>,
    event: &S::Ref<'_>,
    prepared: &mut Prepared<S>,
    room: Vec<Room>,
) -> Option<Reached> {
    let owned = prepared.owned.take();
    let owned = owned.unwrap_or_else(|| Arc::new(S::own(event)));
    let surroundings = Arc::new(Surroundings::here());
    let call = |entry: &Arc<_>| QueuedCall {
        entry: Arc::clone(entry),
        surroundings: surroundings.clone(),
        info: place.info.clone().into(),
        recorded_at: place.sequencer.recorded_at(),
        event: owned.clone(),
    };
    let mut on_lanes = Vec::with_capacity(route.lanes.len());
    let receipts = prepared.receipts.iter_mut();
    let receipts = receipts.flat_map(|all| all.lanes.iter_mut().chain(&mut all.background));
    let mut receipts = receipts.map(Option::take);
    let count = route.lanes.len() + route.background.len();
    let (seq, held) = place.sequencer.enqueue(place.closed, count, |queues| {
        for entry in &route.lanes {
            let (tell, done) = oneshot::channel();
            let verdict = Verdict::within(entry.options.timeout);
            let emission = Emission {
                tell,
                verdict: verdict.clone(),
            };
            on_lanes.push(OnLane { done, verdict });
            queues.add(Addressed {
                ledger: &entry.ledger,
                receipt: receipts.next().flatten(),
                to: call(entry).awaited(emission),
            });
        }
        for (to, room) in route.background.iter().zip(room) {
            call(&to.entry).background(to, room, |job| {
                queues.add(Addressed {
                    ledger: &to.entry.ledger,
                    receipt: receipts.next().flatten(),
                    to: job,
                });
            });
        }
    })?;
    let mut aftermath = Aftermath::default();
    let calls = Calls {
        entries: &route.inline,
        receipts: receipts::of(&mut prepared.receipts, |all| &mut all.inline),
    };
    call_all(calls, &place.run(seq), event, &mut aftermath);
    Some(Reached {
        seq,
        aftermath,
        queued: InQueues { held, on_lanes },
    })
}
