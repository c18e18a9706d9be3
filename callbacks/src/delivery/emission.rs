//! Delivering one event to all that listen to it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll};

use futures_util::future::join_all;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tracing::Span;

use super::call::{AsyncCall, call_all, poll_all};
use super::dispatcher::{Entry, Route};
use super::lane::{Job, Ticket};
use super::registry::Registry;
use super::sequencer::Sequencer;
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
            Some(route) if route.is_inline() => deliver_inline(route, &place, &event).map(|_| ()),
            Some(route) => deliver(route, &place, &event, None).await,
            None => Ok(()),
        }
    }
}

/// Delivers an event to the handlers that listen to it, and returns when they are done with it.
///
/// Lanes are filled first, for that is where the event gets its number, but start on it only after
/// the inline handlers. Then each async method is polled once in registration order, so that the
/// event reaches every handler before anything is waited for; most are ready then.
pub(crate) async fn deliver<'e, S: EventSet>(
    route: &Route<S>,
    place: &Place<'e>,
    event: &S::Ref<'e>,
    owned: Option<&Arc<S::Owned>>,
) -> Result<(), EmitError> {
    let (seq, replies) = if route.lanes.is_empty() {
        (deliver_inline(route, place, event)?, None)
    } else {
        deliver_queued(route, place, event, owned)?
    };
    let run = Run::new(place.info, seq);
    let mut waiting = Vec::new();
    poll_fn(|cx| {
        poll_all(&route.futures, &run, event, cx, |call| {
            waiting.push(Waiting::Call(call));
        });
        Poll::Ready(())
    })
    .await;
    if replies.is_some() || !waiting.is_empty() {
        waiting.extend(replies.into_iter().flatten().map(Waiting::Reply));
        // Boxed, so that the emissions that wait for nobody are small.
        Box::pin(join_all(waiting)).await;
    }
    Ok(())
}

/// Numbers an event that fills no lane, and calls the inline handlers.
#[inline(never)]
fn deliver_inline<S: EventSet>(
    route: &Route<S>,
    place: &Place<'_>,
    event: &S::Ref<'_>,
) -> Result<u64, EmitError> {
    let seq = place.sequencer.number(place.closed)?;
    call_all(&route.inline, &Run::new(place.info, seq), event);
    Ok(seq)
}

/// The replies of the lanes, where there are lanes.
type Replies = Option<Vec<oneshot::Receiver<()>>>;

/// Numbers an event, queues it in the lanes, and calls the inline handlers before it is let go
/// there.
#[inline(never)]
fn deliver_queued<S: EventSet>(
    route: &Route<S>,
    place: &Place<'_>,
    event: &S::Ref<'_>,
    owned: Option<&Arc<S::Owned>>,
) -> Result<(u64, Replies), EmitError> {
    let owned = owned.map_or_else(|| Arc::new(S::own(event)), Arc::clone);
    let emitter = Emitter::current();
    let mut replies = Vec::with_capacity(route.lanes.len());
    let mut jobs = Vec::with_capacity(route.lanes.len());
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
    call_all(&route.inline, &Run::new(place.info, seq), event);
    drop(tickets);
    Ok((seq, Some(replies)))
}

/// What an emission waits for.
enum Waiting<'a, S: EventSet> {
    Call(AsyncCall<'a, S>),
    /// Of a lane. Closed without a reply means that the handler is gone.
    Reply(oneshot::Receiver<()>),
}

impl<S: EventSet> Future for Waiting<'_, S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.get_mut() {
            Self::Call(call) => Pin::new(call).poll(cx),
            Self::Reply(reply) => Pin::new(reply).poll(cx).map(drop),
        }
    }
}

/// The surroundings of an emission, which a method on a lane finds as if it were called there.
#[derive(Clone)]
struct Emitter {
    runtime: Option<Handle>,
    span: Span,
}

impl Emitter {
    fn current() -> Self {
        Self {
            runtime: Handle::try_current().ok(),
            span: Span::current(),
        }
    }
}

/// A sync method to be called on a lane.
struct LaneCall<S: EventSet> {
    entry: Arc<Entry<S>>,
    emitter: Emitter,
    info: RunInfo,
    event: Arc<S::Owned>,
    reply: oneshot::Sender<()>,
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
        call_all(&entry, &Run::new(&info, seq), &S::view(&event));
        // Whoever waits may count on it that the handler is left alone.
        drop((entry, event, info));
        // Nobody waits if the emission was dropped.
        let _ = reply.send(());
    }
}
