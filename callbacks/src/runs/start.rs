//! Starting a run: a builder that is also the future of its guard.

use std::borrow::Cow;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::poll;

use super::closing::set_off;
use super::guard::{Draft, RunGuard};
use super::kinds::sealed::Sealed as _;
use super::kinds::{Family, Kind};
use super::openings::Opening;
use super::tree::{Node, Tree};
use crate::delivery::{Place, Prepared, PutOff, Site, deliver, inside, owe, quietly};
use crate::events::Events;
use crate::events::owned::AnyEvent;
use crate::payload::{RunError, RunKind, Serialized};
use crate::{BoxFuture, Callbacks, EmitError, Event, EventSet, RunId, RunInfo};

/// A run about to start. Setters first, then `.await`: that gives the guard of the run.
///
/// Awaiting fails with [`EmitError::RunClosed`] if a handler listens and the run around this one is
/// over.
///
/// ```
/// use callbacks::{Callbacks, ModelParams, RunKind, Serialized};
/// use serde_json::json;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// static AGENT: Serialized = Serialized::new("Agent");
/// static MODEL: Serialized = Serialized::new("MyModel");
///
/// let callbacks = Callbacks::new();
/// let inputs = json!({ "question": "Why?" });
/// let agent = callbacks.chain_start(&AGENT, &inputs).name("planner").kind(RunKind::Agent).await?;
/// let params = ModelParams::new().with_max_tokens(25);
/// let model = agent.callbacks().llm_start(&MODEL, || vec!["Why?".to_owned()]).params(&params).await?;
/// # Ok::<(), callbacks::EmitError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a run does not start until its start is awaited: add `.await?`"]
pub struct Start<'a, O> {
    callbacks: &'a Callbacks,
    serialized: Option<&'a Serialized>,
    id: Option<RunId>,
    kind: RunKind,
    name: Option<Cow<'static, str>>,
    pub(super) opening: O,
}

impl<'a, O: Opening<'a>> Start<'a, O> {
    pub(crate) fn new(
        callbacks: &'a Callbacks,
        serialized: Option<&'a Serialized>,
        kind: RunKind,
        opening: O,
    ) -> Self {
        Self {
            callbacks,
            serialized,
            id: None,
            kind,
            name: None,
            opening,
        }
    }
}

impl<'a, O> Start<'a, O> {
    /// Names the run, instead of by what runs.
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Gives the run an id, instead of a new one.
    pub fn id(mut self, id: impl Into<RunId>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Says what the run is doing more precisely, such as [`RunKind::Agent`] of a chain.
    pub fn kind(mut self, kind: RunKind) -> Self {
        self.kind = kind;
        self
    }

    fn draft(&mut self) -> Draft {
        let name = self.name.take();
        let name = name.or_else(|| self.serialized.map(|serialized| serialized.name.clone()));
        Draft {
            origin: self.callbacks.clone(),
            id: self.id,
            kind: self.kind,
            name: name.unwrap_or(Cow::Borrowed(self.kind.as_str())),
        }
    }

    pub(super) fn map<P>(self, change: impl FnOnce(O) -> P) -> Start<'a, P> {
        Start {
            callbacks: self.callbacks,
            serialized: self.serialized,
            id: self.id,
            kind: self.kind,
            name: self.name,
            opening: change(self.opening),
        }
    }
}

impl<'a, O: Opening<'a>> IntoFuture for Start<'a, O> {
    type Output = Result<RunGuard<O::Kind>, EmitError>;
    type IntoFuture = Starting<'a, O::Kind>;

    fn into_future(mut self) -> Self::IntoFuture {
        let draft = self.draft();
        Starting(if self.callbacks.hears(O::Kind::EVENTS) {
            State::Heard(Box::pin(self.opening.start(self.serialized, Opener(draft))))
        } else {
            State::Unheard(Some(RunGuard::unheard(draft)))
        })
    }
}

impl<O> fmt::Debug for Start<'_, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start")
            .field("serialized", &self.serialized)
            .field("kind", &self.kind)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The future of a [`Start`].
#[must_use = "a run does not start until its start is awaited"]
pub struct Starting<'a, K: Kind>(State<'a, K>);

/// A run that nobody listens to starts without anything being built.
enum State<'a, K: Kind> {
    Unheard(Option<RunGuard<K>>),
    Heard(BoxFuture<'a, Result<RunGuard<K>, EmitError>>),
}

impl<K: Kind> Future for Starting<'_, K> {
    type Output = Result<RunGuard<K>, EmitError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Unheard(guard) => guard
                .take()
                .map_or(Poll::Pending, |guard| Poll::Ready(Ok(guard))),
            State::Heard(start) => start.as_mut().poll(cx),
        }
    }
}

impl<K: Kind> fmt::Debug for Starting<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Starting").finish_non_exhaustive()
    }
}

/// Opens the run of a draft.
#[derive(Debug)]
pub struct Opener(Draft);

impl Opener {
    pub(super) fn wants<E: Event<Set = Events>>(&self) -> bool {
        self.0.origin.wants::<E>()
    }

    /// Opens the run, then emits its start, if anybody listens to that.
    pub(super) async fn open<K: Kind, E: Event<Set = Events>>(
        self,
        family: Family,
        event: Option<E>,
    ) -> Result<RunGuard<K>, EmitError> {
        if inside() {
            let event = event.map(|event| Events::own(&event.view()));
            return self.open_inside(family, event);
        }
        if let Some(run) = self.0.origin.run() {
            run.tree.sequencer.turn().await;
        }
        let node = self.0.open(family, |_| {});
        let node = node.map_err(|_| EmitError::RunClosed)?;
        // From here on, whatever happens closes the run.
        let guard = RunGuard::heard(node.clone());
        let begins = Begins(node.clone());
        let route = node.registry.route::<Events>(E::INDEX);
        let (Some(event), Some(route)) = (&event, route) else {
            return Ok(guard);
        };
        // The run is open, so it has a start, even if it is closed this very moment.
        let place = Place {
            closed: None,
            ..node.place()
        };
        let event = event.view();
        let prepared = Prepared {
            passes: true,
            ..Prepared::default()
        };
        let mut emission = pin!(deliver(route, &place, &event, prepared));
        // The first poll reaches every handler, so a terminal event may follow.
        let reached = poll!(emission.as_mut());
        drop(begins);
        let started = match reached {
            Poll::Ready(started) => started,
            Poll::Pending => emission.await,
        };
        match started.and_then(|aftermath| aftermath.raise(&route.order)) {
            Ok(()) => Ok(guard),
            Err(error) => {
                // Those who saw the start see the end. What that raises is the lesser evil.
                let _ = guard.error(shown(&error)).await;
                Err(*error)
            }
        }
    }
}

impl Opener {
    /// Opens the run inside a callback: its start is put off. That is queued before the run can be
    /// closed, for whatever closes it waits for its start.
    fn open_inside<K: Kind>(
        self,
        family: Family,
        event: Option<AnyEvent>,
    ) -> Result<RunGuard<K>, EmitError> {
        let mut start = event.map(PutOff::<Events>::new);
        let index = |start: &PutOff<Events>| Events::index(&Events::view(start.event()));
        let index = start.as_ref().map(index);
        let mut turn = None;
        let node = self.0.open(family, |node| {
            let begins = Begins(node.clone());
            let place = Place {
                closed: None,
                ..node.place()
            };
            let route = index.and_then(|index| node.registry.route::<Events>(index));
            if let (Some(start), Some(route)) = (start.take(), route) {
                turn = start.queue(route, &place, |raised| begins.and_then(raised));
            }
        });
        turn.into_iter().for_each(owe);
        node.map(RunGuard::heard).map_err(|_| EmitError::RunClosed)
    }
}

/// The error, as a run's. To show what a handler raised is code of users.
fn shown(error: &EmitError) -> RunError {
    let shown = catch_unwind(AssertUnwindSafe(|| RunError::from(error)));
    shown.unwrap_or_else(|panic| {
        quietly(|| drop(panic));
        RunError::new("a callback handler failed with an error that cannot be shown")
    })
}

/// Whatever happens to a start, the terminal event that waits for it is let go.
struct Begins(Arc<Node>);

impl Begins {
    /// A start that was put off has reached all handlers. There is nobody to raise its error to, but
    /// the run closes with it.
    fn and_then(self, raised: Result<(), Box<EmitError>>) {
        let node = self.0.clone();
        drop(self);
        if let Err(error) = raised {
            let closing = node.close(node.error(shown(&error)));
            if let Ok(Some(closing)) = closing {
                set_off(closing, &node);
            }
            quietly(|| drop(error));
        }
    }
}

impl Drop for Begins {
    fn drop(&mut self) {
        self.0.begin();
    }
}

impl Draft {
    /// Opens the run; the error is that the run around it is closed.
    pub(super) fn open(
        &self,
        family: Family,
        opened: impl FnOnce(&Arc<Node>),
    ) -> Result<Arc<Node>, Arc<Node>> {
        let registry = self.origin.registry();
        let parent = self.origin.run();
        let tree = parent.map_or_else(Tree::new, |parent| parent.tree.clone());
        let info = RunInfo::new(
            self.id,
            self.kind,
            self.name.clone(),
            registry.labels().clone(),
            parent.map(|parent| parent.info.clone()),
        );
        tree.open(parent, registry, family, info, opened)
    }
}
