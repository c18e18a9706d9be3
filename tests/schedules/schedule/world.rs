//! All that a plan is played in: what is emitted there, and written down.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::thread;

use callbacks::{Callbacks, EmitError, RunId, RunInfo};

use super::guard::{Guard, How};
use super::history::{Began, Emission, Entry, History, Known, Returned, What};
use super::listeners::Listener;
use super::open::Open;
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
    runs: AtomicU64,
    emitted_inside: AtomicU64,
    /// Each as often as it was heard of.
    pub(super) runs_heard: Mutex<Vec<RunInfo>>,
    /// Where handlers emit: inside the first run.
    pub(super) home: Mutex<Option<(Place, Arc<Known>)>>,
    pub(super) registered: Mutex<Vec<Listener>>,
    /// All values that handlers were registered with, for the drains, and whom each is asked about then.
    pub(super) values: Mutex<Vec<(Callbacks, Scope)>>,
    pub(super) apart: Mutex<Vec<Apart>>,
}

/// The handlers that are registered, in this order.
pub(super) type Scope = Vec<usize>;

/// Where runs start.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) callbacks: Callbacks,
    pub(super) scope: Scope,
    /// The run around, if there is one.
    pub(super) around: Option<Arc<Known>>,
    pub(super) tags: Vec<String>,
    pub(super) blocks: bool,
}

impl Place {
    /// A run that starts here.
    fn run(&self, number: u64) -> Known {
        let id = RunId::from(u128::from(number));
        Known {
            id,
            parent: self.around.as_ref().map(|around| around.id),
            root: self.around.as_ref().map_or(id, |around| around.root),
            tags: self.tags.clone(),
        }
    }
}

impl World {
    pub(super) fn new(plan: Plan) -> Self {
        Self {
            plan,
            history: History::default(),
            calls: AtomicU64::new(0),
            emissions: AtomicU64::new(0),
            runs: AtomicU64::new(1),
            emitted_inside: AtomicU64::new(0),
            runs_heard: Mutex::default(),
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
        emits: Emits<'_>,
        patience: Patience,
        emit: impl AsyncFnOnce(Emission) -> Result<T, EmitError>,
    ) -> Option<Result<T, EmitError>> {
        let emission = self.emissions.fetch_add(1, Ordering::Relaxed);
        let watched = async {
            self.history.add(Entry::Began(Began {
                emission,
                what: emits.what,
                method: emits.method,
                run: emits.run.clone(),
                scope: emits.scope.to_vec(),
                within: emits.within,
                thread: thread::current().id(),
            }));
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

    /// Starts a run. `None` if it is dropped, fails, or is answered for.
    pub(super) async fn start<'w>(
        &'w self,
        place: &Place,
        kind: Kind,
        asks: bool,
        within: Option<u64>,
        patience: Patience,
    ) -> Option<Open<'w>> {
        let run = Arc::new(place.run(self.runs.fetch_add(1, Ordering::Relaxed)));
        let emits = Emits {
            what: What::Start,
            method: kind.methods()[0],
            run: &run,
            scope: &place.scope,
            within,
        };
        let start = async |emission| {
            if asks {
                self.history.add(Entry::Asks { emission });
            }
            let (id, blocks) = (run.id, place.blocks);
            let how = How { id, blocks, asks };
            let guard = Guard::start(&place.callbacks, kind, how, emission).await?;
            if guard.is_none() {
                self.history.add(Entry::Answered { emission });
            }
            Ok(guard)
        };
        let guard = self.emit(emits, patience, start).await?.ok()??;
        Some(Open {
            world: self,
            guard: Some(guard),
            kind,
            run: run.clone(),
            scope: place.scope.clone(),
            within,
        })
    }

    /// What a handler emits: in the first run, or a run in that.
    pub(super) async fn emit_inside(&self, call: u64) {
        let so_far = self.emitted_inside.fetch_add(1, Ordering::Relaxed);
        let home = locked(&self.home).clone();
        let Some((home, run)) = home.filter(|_| so_far < EMITTED_INSIDE) else {
            return;
        };
        let within = Some(call);
        if so_far.is_multiple_of(2) {
            let emits = Emits {
                what: What::Other,
                method: "on_custom_event",
                run: &run,
                scope: &home.scope,
                within,
            };
            let event = async |emission: Emission| {
                let data = || emission.into();
                home.callbacks.custom_event("planned", data).await
            };
            self.emit(emits, None, event).await;
            return;
        }
        let kind = if so_far % 4 == 1 {
            Kind::Tool
        } else {
            Kind::Chain
        };
        if let Some(run) = self.start(&home, kind, false, within, None).await {
            run.end(None).await;
        }
    }

    /// A value whose drains are waited for, and whose counts of these handlers are of this value alone.
    pub(super) fn keep(&self, callbacks: &Callbacks, counted: Scope) {
        locked(&self.values).push((callbacks.clone(), counted));
    }
}

/// What is emitted, and where.
pub(super) struct Emits<'e> {
    pub(super) what: What,
    pub(super) method: &'static str,
    pub(super) run: &'e Arc<Known>,
    pub(super) scope: &'e [usize],
    pub(super) within: Option<u64>,
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
