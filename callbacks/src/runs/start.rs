//! Starting a run: a builder that is also the future of its guard.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::asked::Begun;
use super::core::Core;
use super::draft::Draft;
use super::flavour::{Async, Blocking, Flavour};
use super::guard::RunGuard;
use super::kinds::sealed::Sealed as _;
use super::opener::Opener;
use super::openings::Opening;
use crate::delivery::block_on;
use crate::payload::{RunKind, Serialized};
use crate::{BoxFuture, Callbacks, EmitError, RunId};

/// A run about to start. Setters first, then `.await`: that gives the guard of the run.
///
/// Where rustc says ``no method named `new_token` found for struct `Start` ``, the `.await?` is missing. Where it
/// says that `Start` is not a future, a payload is of a wrong type, which another error says, or it is one of
/// [`blocking`](Callbacks::blocking), of which `.start()?` makes a run.
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
