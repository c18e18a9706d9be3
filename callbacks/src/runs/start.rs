//! Starting a run: a builder that is also the future of its guard.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::poll;

use super::asked::Begun;
use super::closing::close_unwaited;
use super::core::{Core, Draft};
use super::flavour::{Async, Blocking, Flavour};
use super::guard::RunGuard;
use super::kinds::sealed::Sealed as _;
use super::kinds::{Family, Kind};
use super::openings::Opening;
use super::tree::{Node, Tree};
use crate::delivery::{
    Place, Prepared, PutOff, Replied, Site, ask, block_on, deliver, inside, owe, quietly, shown,
};
use crate::events::Events;
use crate::events::owned::AnyEvent;
use crate::payload::{RunKind, Serialized};
use crate::{BoxFuture, Callbacks, DecisionEvent, EmitError, Event, EventSet, RunId, RunInfo};

/// A run about to start. Setters first, then `.await`: that gives the guard of the run. Where rustc says
/// ``no method named `new_token` found for struct `Start` ``, the `.await?` is missing.
///
/// It fails with [`EmitError::RunClosed`] if a handler listens and the run around this one is over,
/// with [`EmitError::Stopped`] if a handler of a decision event stopped the run, and with
/// [`EmitError::Raised`] if a handler of its start failed whose errors are raised. Then there is no
/// guard: those who saw the start have seen the end.
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
pub struct Start<'a, O, F: Flavour = Async> {
    callbacks: &'a Callbacks,
    serialized: Option<&'a Serialized>,
    id: Option<RunId>,
    kind: RunKind,
    name: Option<Cow<'static, str>>,
    pub(super) opening: O,
    flavour: PhantomData<F>,
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
            flavour: PhantomData,
        }
    }

    /// It, to be started by a thread that waits.
    pub(crate) fn blocking(self) -> Start<'a, O, Blocking> {
        self.map(|opening| opening)
    }
}

impl<'a, O, F: Flavour> Start<'a, O, F> {
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

    #[inline]
    fn draft(&mut self) -> Draft {
        let name = self.name.take();
        let name = name.or_else(|| self.serialized.map(|serialized| serialized.name.clone()));
        Draft {
            origin: self.callbacks.clone(),
            id: self.id,
            kind: self.kind,
            name: name.unwrap_or(Cow::Borrowed(self.kind.as_str())),
            blocking: F::BLOCKING,
        }
    }

    pub(super) fn map<P, G: Flavour>(self, change: impl FnOnce(O) -> P) -> Start<'a, P, G> {
        Start {
            callbacks: self.callbacks,
            serialized: self.serialized,
            id: self.id,
            kind: self.kind,
            name: self.name,
            opening: change(self.opening),
            flavour: PhantomData,
        }
    }
}

impl<'a, O: Opening<'a>, F: Flavour> Start<'a, O, F> {
    /// Begins the run, and makes of it what is given out: `heard`, if anybody listens to it.
    #[inline]
    pub(super) fn begin<T, H>(
        mut self,
        unheard: impl FnOnce(&O, Core<O::Kind>) -> T,
        heard: impl FnOnce(Begun<O::Kind, O::Decided>) -> H + Send + 'a,
    ) -> Starting<'a, T>
    where
        H: Future<Output = Result<T, EmitError>> + Send,
    {
        Starting(if self.callbacks.hears(O::Kind::EVENTS) {
            State::Heard(self.begin_heard(heard))
        } else {
            let draft = self.draft();
            State::Unheard(Some(unheard(&self.opening, Core::unheard(draft))))
        })
    }

    /// Out of line: whoever is not heard shall not make room for it.
    #[inline(never)]
    fn begin_heard<T, H>(
        mut self,
        heard: impl FnOnce(Begun<O::Kind, O::Decided>) -> H + Send + 'a,
    ) -> BoxFuture<'a, Result<T, EmitError>>
    where
        H: Future<Output = Result<T, EmitError>> + Send,
    {
        let draft = self.draft();
        let begun = self.opening.start(self.serialized, Opener::new(draft));
        Box::pin(async move { heard(begun.await?).await })
    }

    #[inline]
    fn begin_plain(self) -> Starting<'a, RunGuard<O::Kind, F>> {
        let unheard = |_: &O, core| RunGuard::new(core, ());
        self.begin(unheard, async |begun| {
            Ok(RunGuard::new(begun.without_decisions().await?, ()))
        })
    }
}

impl<'a, O: Opening<'a>> IntoFuture for Start<'a, O> {
    type Output = Result<RunGuard<O::Kind>, EmitError>;
    type IntoFuture = Starting<'a, RunGuard<O::Kind>>;

    #[inline]
    fn into_future(self) -> Self::IntoFuture {
        self.begin_plain()
    }
}

impl<'a, O: Opening<'a>> Start<'a, O, Blocking> {
    /// Starts the run, and returns when the handlers are done.
    ///
    /// # Errors
    ///
    /// See [`Start`]. As for all that waits with a thread, there is [`EmitError::WouldDeadlock`], too.
    ///
    /// # Panics
    ///
    /// See [`BlockingCallbacks`](crate::BlockingCallbacks#panics).
    pub fn start(self) -> Result<RunGuard<O::Kind, Blocking>, EmitError> {
        self.begin_plain().wait()
    }
}

impl<O, F: Flavour> fmt::Debug for Start<'_, O, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start")
            .field("serialized", &self.serialized)
            .field("kind", &self.kind)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The future of a [`Start`]: of what is given out where the run has started.
#[must_use = "a run does not start until its start is awaited"]
pub struct Starting<'a, T>(State<'a, T>);

/// A run that nobody listens to starts without anything being built.
enum State<'a, T> {
    Unheard(Option<T>),
    Heard(BoxFuture<'a, Result<T, EmitError>>),
}

impl<T: Unpin> Starting<'_, T> {
    /// Waits with this thread, if there is anything to wait for.
    pub(super) fn wait(self) -> Result<T, EmitError> {
        match self.0 {
            State::Unheard(Some(started)) => Ok(started),
            other => block_on(Starting(other)),
        }
    }
}

impl<T: Unpin> Future for Starting<'_, T> {
    type Output = Result<T, EmitError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Unheard(started) => {
                let started = started.take();
                Poll::Ready(Ok(started.expect("`Starting` polled after completion")))
            }
            State::Heard(start) => start.as_mut().poll(cx),
        }
    }
}

impl<T> fmt::Debug for Starting<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Starting").finish_non_exhaustive()
    }
}

/// Opens the run of a draft.
pub struct Opener {
    draft: Draft,
    /// The run that the handlers were asked about.
    asked: Option<Plan>,
}

impl Opener {
    fn new(draft: Draft) -> Self {
        Self { draft, asked: None }
    }

    pub(super) fn wants<E: Event<Set = Events>>(&self) -> bool {
        self.draft.origin.wants::<E>()
    }

    /// Asks about the run, which is not open yet.
    pub(super) async fn ask<E: DecisionEvent<Set = Events>>(
        &mut self,
        event: E,
    ) -> Result<Replied<E>, EmitError> {
        let plan = self.asked.get_or_insert_with(|| self.draft.plan());
        let parent = self.draft.origin.run();
        let place = Place {
            registry: &self.draft.origin.registry(),
            info: &plan.info,
            sequencer: &plan.tree.sequencer,
            closed: parent.and_then(|parent| parent.place().closed),
        };
        ask(&place, event).await
    }

    /// Opens the run, then emits its start, if anybody listens to that.
    pub(super) async fn open<K: Kind, E: Event<Set = Events>>(
        self,
        family: Family,
        event: Option<E>,
    ) -> Result<Core<K>, EmitError> {
        let Self { draft, asked } = self;
        let plan = match asked {
            Some(plan) => {
                plan.info.decided();
                plan
            }
            None => draft.plan(),
        };
        if inside() {
            let event = event.map(|event| Events::own(&event.view()));
            return draft.open_inside(plan, family, event);
        }
        if let Some(run) = draft.origin.run() {
            run.tree.sequencer.turn().await;
        }
        let node = draft.open(plan, family, |_| {});
        let node = node.map_err(|_| EmitError::RunClosed)?;
        // From here on, whatever happens closes the run.
        let mut guard = Core::heard(node.clone(), draft.blocking);
        let begins = Begins(node.clone());
        let Some(event) = event else {
            return Ok(guard);
        };
        match deliver_start(begins, &event.view(), None).await {
            Ok(()) => Ok(guard),
            Err(error) => {
                // Those who saw the start see the end.
                guard.fail(shown(&error), None).await;
                Err(*error)
            }
        }
    }
}

/// Delivers the start of a run, if anybody listens to that; of which there may be a copy.
pub(super) async fn deliver_start(
    begins: Begins,
    event: &<Events as EventSet>::Ref<'_>,
    owned: Option<Arc<AnyEvent>>,
) -> Result<(), Box<EmitError>> {
    let node = begins.0.clone();
    let Some(route) = node.registry.route::<Events>(Events::index(event)) else {
        return Ok(());
    };
    // The run is open, so it has a start, even if it is closed this very moment.
    let place = Place {
        closed: None,
        ..node.place()
    };
    let prepared = Prepared {
        owned,
        passes: true,
        ..Prepared::default()
    };
    let mut emission = pin!(deliver(route, &place, event, prepared));
    // The first poll reaches every handler, so a terminal event may follow.
    let reached = poll!(emission.as_mut());
    drop(begins);
    let started = match reached {
        Poll::Ready(started) => started,
        Poll::Pending => emission.await,
    };
    started?.raise(&route.order)
}

impl Draft {
    /// Opens the run inside a callback: its start is put off. That is queued before the run can be
    /// closed, for whatever closes it waits for its start.
    fn open_inside<K: Kind>(
        self,
        plan: Plan,
        family: Family,
        event: Option<AnyEvent>,
    ) -> Result<Core<K>, EmitError> {
        let mut start = event.map(PutOff::<Events>::new);
        let index = |start: &PutOff<Events>| Events::index(&Events::view(start.event()));
        let index = start.as_ref().map(index);
        let mut turn = None;
        let node = self.open(plan, family, |node| {
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
        node.map(|node| Core::heard(node, self.blocking))
            .map_err(|_| EmitError::RunClosed)
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Opener").field(&self.draft).finish()
    }
}

/// Whatever happens to a start, the terminal event that waits for it is let go.
pub(super) struct Begins(pub(super) Arc<Node>);

impl Begins {
    /// A start that was put off has reached all handlers. There is nobody to raise its error to, but
    /// the run closes with it.
    fn and_then(self, raised: Result<(), Box<EmitError>>) {
        let node = self.0.clone();
        drop(self);
        if let Err(error) = raised {
            close_unwaited(&node, node.error(shown(&error)), false);
            quietly(|| drop(error));
        }
    }
}

impl Drop for Begins {
    fn drop(&mut self) {
        self.0.begin();
    }
}

/// A run that is not open yet.
pub(super) struct Plan {
    tree: Arc<Tree>,
    info: RunInfo,
}

impl Draft {
    pub(super) fn plan(&self) -> Plan {
        let parent = self.origin.run();
        let tree = parent.map_or_else(Tree::new, |parent| parent.tree.clone());
        let info = RunInfo::new(
            self.id,
            self.kind,
            self.name.clone(),
            self.origin.registry().labels().clone(),
            parent.map(|parent| parent.info.clone()),
        );
        Plan { tree, info }
    }

    /// Opens the run; the error is that the run around it is closed.
    pub(super) fn open(
        &self,
        Plan { tree, info }: Plan,
        family: Family,
        opened: impl FnOnce(&Arc<Node>),
    ) -> Result<Arc<Node>, Arc<Node>> {
        let registry = self.origin.registry();
        tree.open(self.origin.run(), registry, family, info, opened)
    }
}
