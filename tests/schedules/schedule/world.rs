//! All that a plan is played in: what is emitted there, and written down.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use callbacks::{Callbacks, EmitError};

use super::guard::{Guard, How};
use super::history::{Emission, Entry, History, Returned};
use super::listeners::Listener;
use super::plan::{Kind, Patience, Plan};
use super::play::Apart;

/// How often handlers emit, in all: what they emit is heard by handlers that emit.
const EMITTED_INSIDE: u64 = 12;

/// All that a plan is played in.
pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) history: History,
    calls: AtomicU64,
    emissions: AtomicU64,
    emitted_inside: AtomicU64,
    /// Where handlers emit: inside the first run.
    pub(super) home: Mutex<Option<Place>>,
    pub(super) registered: Mutex<Vec<Listener>>,
    /// All values that handlers were registered with, for the drains.
    pub(super) values: Mutex<Vec<Callbacks>>,
    pub(super) apart: Mutex<Vec<Apart>>,
}

/// The handlers that are registered, in this order.
pub(super) type Scope = Vec<usize>;

/// Where runs start.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) callbacks: Callbacks,
    pub(super) scope: Scope,
    pub(super) is_root: bool,
    pub(super) blocks: bool,
}

impl World {
    pub(super) fn new(plan: Plan) -> Self {
        Self {
            plan,
            history: History::default(),
            calls: AtomicU64::new(0),
            emissions: AtomicU64::new(0),
            emitted_inside: AtomicU64::new(0),
            home: Mutex::default(),
            registered: Mutex::default(),
            values: Mutex::default(),
            apart: Mutex::default(),
        }
    }

    pub(super) fn next_call(&self) -> u64 {
        self.calls.fetch_add(1, Ordering::Relaxed)
    }

    /// Has something emitted, and writes down when, and what came of it. `None` if it was dropped before.
    pub(super) async fn emit<T>(
        &self,
        scope: &Scope,
        within: Option<u64>,
        patience: Patience,
        emit: impl AsyncFnOnce(Emission) -> Result<T, EmitError>,
    ) -> Option<Result<T, EmitError>> {
        let emission = self.emissions.fetch_add(1, Ordering::Relaxed);
        let scope = scope.clone();
        let watched = async {
            self.history.add(Entry::Began {
                emission,
                scope,
                within,
            });
            let mut watch = Watch {
                history: &self.history,
                emission,
                result: None,
            };
            let emitted = emit(emission).await;
            watch.result = Some(match &emitted {
                Ok(_) => Returned::Ok,
                Err(EmitError::RunClosed) => Returned::Closed,
                Err(EmitError::Stopped { .. }) => Returned::Stopped,
                Err(EmitError::Raised { handler, .. }) => {
                    Returned::Raised(handler.parse().expect("handlers are named by numbers"))
                }
                Err(error) => panic!("{error:?}"),
            });
            emitted
        };
        patient(watched, patience).await
    }

    pub(super) async fn start(
        &self,
        place: &Place,
        kind: Kind,
        asks: bool,
        emission: Emission,
    ) -> Result<Option<Guard>, EmitError> {
        if asks {
            self.history.add(Entry::Asks { emission });
        }
        let blocks = place.blocks;
        let guard = Guard::start(&place.callbacks, kind, How { blocks, asks }, emission).await?;
        if guard.is_none() {
            self.history.add(Entry::Answered { emission });
        }
        Ok(guard)
    }

    /// What a handler emits: in the first run, or a run in that.
    pub(super) async fn emit_inside(&self, call: u64) {
        let so_far = self.emitted_inside.fetch_add(1, Ordering::Relaxed);
        let home = locked(&self.home).clone();
        let Some(home) = home.filter(|_| so_far < EMITTED_INSIDE) else {
            return;
        };
        let (scope, within) = (&home.scope, Some(call));
        if so_far.is_multiple_of(2) {
            let event = async |emission: Emission| {
                let data = || emission.into();
                home.callbacks.custom_event("planned", data).await
            };
            self.emit(scope, within, None, event).await;
            return;
        }
        let kind = if so_far % 4 == 1 {
            Kind::Tool
        } else {
            Kind::Chain
        };
        let start = async |emission| self.start(&home, kind, false, emission).await;
        let Some(Ok(Some(guard))) = self.emit(scope, within, None, start).await else {
            return;
        };
        let end = async |emission| guard.end(emission).await;
        self.emit(scope, within, None, end).await;
    }

    pub(super) fn keep(&self, callbacks: &Callbacks) {
        locked(&self.values).push(callbacks.clone());
    }
}

/// Writes down that an emission is over, or was dropped.
struct Watch<'h> {
    history: &'h History,
    emission: Emission,
    result: Option<Returned>,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let emission = self.emission;
        self.history.add(match self.result.take() {
            Some(result) => Entry::Returned { emission, result },
            None => Entry::Dropped { emission },
        });
    }
}

/// The future's output, unless it is dropped after so many polls.
pub(super) async fn patient<F: Future>(future: F, patience: Patience) -> Option<F::Output> {
    let (mut future, mut left) = (pin!(future), patience);
    poll_fn(|cx| match (future.as_mut().poll(cx), &mut left) {
        (Poll::Ready(output), _) => Poll::Ready(Some(output)),
        (Poll::Pending, Some(0)) => Poll::Ready(None),
        (Poll::Pending, Some(left)) => {
            *left -= 1;
            Poll::Pending
        }
        (Poll::Pending, None) => Poll::Pending,
    })
    .await
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.plan.fmt(f)
    }
}
