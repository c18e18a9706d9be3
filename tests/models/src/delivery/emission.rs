//! Stands in for the delivery of an event, to one handler that hears everything: to deliver is to
//! write the event into a log, and to wait once.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use shuttle::future::yield_now;
use shuttle::sync::atomic::AtomicU64;

use super::deferred::{Deferred, Turn};
use super::runtime::Handle;
use super::sync::AtomicBool;
use crate::events::View;
use crate::events::owned::AnyEvent;
use crate::log::Log;
use crate::{EmitError, EventSet, RunInfo};

/// The handlers of a run: one.
pub(crate) struct Registry(Route);

pub(crate) struct Route {
    log: Log<Heard>,
    pub(crate) order: [usize; 0],
}

/// What the handler heard: the beginning and the end of its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Begin(RunInfo, AnyEvent, u64),
    End(RunInfo, AnyEvent),
}

impl Registry {
    pub(crate) fn new(log: &Log<Heard>) -> Arc<Self> {
        let (log, order) = (log.clone(), []);
        Arc::new(Self(Route { log, order }))
    }

    #[allow(clippy::unnecessary_wraps, reason = "somebody always listens")]
    pub(crate) fn route<S: EventSet>(&self, _event: usize) -> Option<&Route> {
        Some(&self.0)
    }
}

pub(crate) struct Receipts;

impl Receipts {
    pub(crate) fn of(_: &Route) -> Self {
        Self
    }
}

pub(crate) struct Sequencer {
    last: AtomicU64,
    pub(crate) deferred: Arc<Deferred>,
    pub(crate) home: Option<Handle>,
}

impl Sequencer {
    pub(crate) fn new() -> Arc<Self> {
        let home = Handle::try_current().ok();
        Arc::new(Self {
            last: AtomicU64::new(0),
            deferred: Deferred::new(home.clone()),
            home,
        })
    }
}

pub(crate) struct Surroundings;

impl Surroundings {
    pub(crate) fn here() -> Self {
        Self
    }

    pub(crate) fn around<F: Future>(self, future: F) -> F {
        future
    }
}

#[derive(Clone, Copy)]
#[allow(dead_code, reason = "there is one log")]
pub(crate) struct Place<'a> {
    pub(crate) registry: &'a Arc<Registry>,
    pub(crate) info: &'a RunInfo,
    pub(crate) sequencer: &'a Arc<Sequencer>,
    pub(crate) closed: Option<&'a AtomicBool>,
}

pub(crate) trait Site {
    fn place(&self) -> Place<'_>;
}

#[derive(Default)]
#[allow(
    dead_code,
    reason = "the handler is not one that it makes a difference to"
)]
pub(crate) struct Prepared {
    pub(crate) owned: Option<Arc<AnyEvent>>,
    pub(crate) receipts: Option<Box<Receipts>>,
    pub(crate) passes: bool,
    pub(crate) detached: bool,
    pub(crate) on_lanes: bool,
}

/// What calls leave behind: nothing.
#[derive(Default)]
pub(crate) struct Aftermath;

impl Aftermath {
    #[allow(clippy::unused_self, reason = "there is nothing")]
    pub(crate) fn take_turns(&mut self) -> Vec<Turn> {
        Vec::new()
    }

    #[allow(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "there is nothing"
    )]
    pub(crate) fn raise(self, _: &[usize]) -> Result<(), Box<EmitError>> {
        Ok(())
    }
}

pub(crate) async fn deliver(
    Route { log, .. }: &Route,
    place: &Place<'_>,
    event: &View<'_>,
    _: Prepared,
) -> Result<Aftermath, Box<EmitError>> {
    let seq = place.sequencer.last.fetch_add(1, Ordering::SeqCst) + 1;
    let closed = place.closed;
    if closed.is_some_and(|closed| closed.load(Ordering::SeqCst)) {
        return Err(Box::new(EmitError::RunClosed));
    }
    log.add(Heard::Begin(*place.info, *event.0, seq));
    yield_now().await;
    log.add(Heard::End(*place.info, *event.0));
    Ok(Aftermath)
}
