//! Delivering one event to all that listen to it.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::Poll;

use futures_util::future::join_all;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tracing::Span;

use super::call::{Failures, call_all, poll_all, quietly};
use super::dispatcher::{Entry, Route};
use super::lane::{Job, Ticket};
use super::registry::Registry;
use super::sequencer::Sequencer;
use super::waiting::{Reply, Waiting};
use crate::ambient::{self, Ambient};
use crate::{EmitError, Event, EventSet, Run, RunInfo};

/// Where an event is emitted.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) info: &'a RunInfo,
    pub(crate) sequencer: &'a Sequencer,
    /// Whether the run is closed. Its start and its terminal event do not ask.
    pub(crate) closed: Option<&'a AtomicBool>,
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
        match place.registry.route::<E::Set>(E::INDEX) {
            Some(route) if route.is_inline() => call_inline(route, &place, &event),
            Some(route) => deliver(route, &place, &event, None).await,
            None => Ok(()),
        }
        .map_err(|error| *error)
    }
}

/// Delivers an event to the handlers that listen to it, and returns when they are done with it.
///
/// Lanes are filled first, for that is where the event gets its number, but start on it only after
/// the inline handlers. Then each async method is polled once in registration order, so that the
/// event reaches every handler before anything is waited for; most are ready then.
///
/// The error is boxed on its way up, for it is large and rare.
pub(crate) async fn deliver<'e, S: EventSet>(
    route: &Route<S>,
    place: &Place<'e>,
    event: &S::Ref<'e>,
    owned: Option<&Arc<S::Owned>>,
) -> Result<(), Box<EmitError>> {
    let (mut failures, mut replies) = (Failures::default(), Vec::new());
    let seq = if route.lanes.is_empty() {
        deliver_inline(route, place, event, &mut failures)
    } else {
        deliver_queued(route, place, event, owned, &mut failures, &mut replies)
    };
    let Some(seq) = seq else {
        return Err(Box::new(EmitError::RunClosed));
    };
    let run = Run::new(place.info, seq);
    let index = S::index(event);
    let mut waiting = Vec::new();
    poll_fn(|cx| {
        poll_all(&route.futures, &run, event, cx, &mut failures, |call| {
            waiting.push(Waiting::call(call, place.info, index));
        });
        Poll::Ready(())
    })
    .await;
    if !replies.is_empty() || !waiting.is_empty() {
        let replies = replies.into_iter().zip(&route.lanes);
        waiting
            .extend(replies.map(|(reply, entry)| Waiting::reply(reply, entry, place.info, index)));
        // Boxed, so that the emissions that wait for nobody are small.
        for others in Box::pin(join_all(waiting)).await {
            failures.add(others);
        }
    }
    failures.raise(&route.order)
}

/// Delivers an event that only inline handlers listen to.
#[inline(never)]
fn call_inline<S: EventSet>(
    route: &Route<S>,
    place: &Place<'_>,
    event: &S::Ref<'_>,
) -> Result<(), Box<EmitError>> {
    let mut failures = Failures::default();
    match deliver_inline(route, place, event, &mut failures) {
        Some(_) => failures.raise(&route.order),
        None => Err(Box::new(EmitError::RunClosed)),
    }
}

/// Numbers an event that fills no lane, and calls the inline handlers.
#[inline]
fn deliver_inline<S: EventSet>(
    route: &Route<S>,
    place: &Place<'_>,
    event: &S::Ref<'_>,
    failures: &mut Failures,
) -> Option<u64> {
    let seq = place.sequencer.number(place.closed)?;
    call_all(&route.inline, &Run::new(place.info, seq), event, failures);
    Some(seq)
}

/// Numbers an event, queues it in the lanes, and calls the inline handlers before it is let go
/// there.
#[inline(never)]
fn deliver_queued<S: EventSet>(
    route: &Route<S>,
    place: &Place<'_>,
    event: &S::Ref<'_>,
    owned: Option<&Arc<S::Owned>>,
    failures: &mut Failures,
    replies: &mut Vec<Reply>,
) -> Option<u64> {
    let owned = owned.map_or_else(|| Arc::new(S::own(event)), Arc::clone);
    let emitter = Emitter::current();
    let mut jobs = Vec::with_capacity(route.lanes.len());
    replies.reserve_exact(route.lanes.len());
    for entry in &route.lanes {
        let (reply, waiting) = oneshot::channel();
        replies.push(waiting);
        let call = LaneCall {
            entry: entry.clone(),
            emitter: emitter.clone(),
            info: place.info.clone(),
            event: owned.clone(),
            reply,
        };
        let job: Job = Box::new(move |seq| call.run(seq));
        jobs.push((entry.id, job));
    }
    let (seq, tickets): (u64, Vec<Ticket>) = place.sequencer.enqueue(place.closed, jobs)?;
    call_all(&route.inline, &Run::new(place.info, seq), event, failures);
    drop(tickets);
    Some(seq)
}

/// The surroundings of an emission, which a method on a lane finds as if it were called there.
#[derive(Clone)]
struct Emitter {
    runtime: Option<Handle>,
    span: Span,
    ambient: Option<Ambient>,
}

impl Emitter {
    fn current() -> Self {
        Self {
            runtime: Handle::try_current().ok(),
            span: Span::current(),
            ambient: ambient::current(),
        }
    }
}

/// A sync method to be called on a lane.
struct LaneCall<S: EventSet> {
    entry: Arc<Entry<S>>,
    emitter: Emitter,
    info: RunInfo,
    event: Arc<S::Owned>,
    reply: oneshot::Sender<Failures>,
}

impl<S: EventSet> LaneCall<S> {
    fn run(self, seq: u64) {
        let Self {
            entry,
            emitter,
            info,
            event,
            reply,
        } = self;
        let _runtime = emitter.runtime.as_ref().map(Handle::enter);
        let _span = emitter.span.enter();
        let entry = [entry];
        let mut failures = Failures::default();
        ambient::call_in(emitter.ambient, || {
            call_all(
                &entry,
                &Run::new(&info, seq),
                &S::view(&event),
                &mut failures,
            );
        });
        // Whoever waits may count on it that the handler is left alone.
        quietly(|| drop((entry, event, info)));
        // Nobody waits if the emission was dropped.
        let _ = reply.send(failures);
    }
}
