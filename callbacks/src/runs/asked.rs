//! What handlers decided about a run before it started, and what becomes of it.

use std::fmt;

use super::core::Core;
use super::flavour::{Async, Blocking, Flavour};
use super::guard::RunGuard;
use super::kinds::{Kind, Llm, Output, Tool};
use super::openings::Deciding;
use super::openings::opening::Sealed;
use super::start::{Start, Starting};
use crate::events::ToolRequest;
use crate::payload::{ErrorKind, Message, RunError};
use crate::{Decision, EmitError, Event};

/// What became of a start that [asked](Start::ask) the handlers: the run goes on, or one of them
/// answered for it. (If one stopped it, the start fails with [`EmitError::Stopped`].)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked<R, A> {
    /// The run has started, with what was decided.
    Go(R),
    /// This is what the run would have made. It has ended with it.
    Answered(A),
}

/// A [`Start`] that honours what the handlers decide. Made by [`Start::ask`].
#[must_use = "a run does not start until its start is awaited: add `.await?`"]
pub struct Asking<'a, O, F: Flavour = Async>(Start<'a, O, F>);

/// What became of a start with this opening.
type Outcome<'a, O, F> = Asked<
    RunGuard<<O as Sealed<'a>>::Kind, F, <O as Sealed<'a>>::Decided>,
    Output<<O as Sealed<'a>>::Kind>,
>;

impl<'a, O: Deciding<'a>, F: Flavour> Start<'a, O, F> {
    /// Honours what the handlers of [`ToolRequest`](crate::events::ToolRequest) and
    /// [`LlmRequest`](crate::events::LlmRequest) decide: that the run goes on with another input, or
    /// that its result is there already.
    ///
    /// They are asked without it, too. But then any answer except
    /// [`Continue`](crate::Decision::Continue) is [`EmitError::Stopped`], for the framework does not
    /// do what they decided.
    ///
    /// Where a handler answers, the run starts and ends here. If a handler of its end fails whose errors
    /// are raised, that is what the start fails with.
    ///
    /// ```
    /// use callbacks::{Asked, BoxError, Callbacks, Decision, Serialized, ToolDecision, callback_handler};
    /// use serde_json::{Value, json};
    ///
    /// struct Cache;
    ///
    /// #[callback_handler]
    /// impl Cache {
    ///     fn on_tool_request(&self, input: &str) -> ToolDecision {
    ///         match input {
    ///             "2 + 2" => Decision::Answer(json!(4)),
    ///             other => Decision::Rewrite(other.trim().to_owned()),
    ///         }
    ///     }
    /// }
    ///
    /// // in the framework
    /// async fn calculate(input: &str, callbacks: &Callbacks) -> Result<Value, BoxError> {
    ///     static CALCULATOR: Serialized = Serialized::new("Calculator");
    ///     match callbacks.tool_start(&CALCULATOR, input).ask().await? {
    ///         Asked::Answered(value) => Ok(value),
    ///         Asked::Go(run) => {
    ///             let output = json!(format!("the value of {}", run.input()));
    ///             run.end(&output).await?;
    ///             Ok(output)
    ///         }
    ///     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let callbacks = Callbacks::new().with(Cache);
    /// assert_eq!(calculate("2 + 2", &callbacks).await?, json!(4));
    /// assert_eq!(calculate(" 1 + 1", &callbacks).await?, json!("the value of 1 + 1"));
    /// # Ok::<(), BoxError>(())
    /// # }).unwrap();
    /// ```
    pub fn ask(self) -> Asking<'a, O, F> {
        Asking(self)
    }
}

impl<'a, O: Deciding<'a>> IntoFuture for Asking<'a, O> {
    type Output = Result<Outcome<'a, O, Async>, EmitError>;
    type IntoFuture = Starting<'a, Outcome<'a, O, Async>>;

    fn into_future(self) -> Self::IntoFuture {
        self.begin()
    }
}

impl<'a, O: Deciding<'a>> Asking<'a, O, Blocking> {
    /// Starts the run, and returns when the handlers are done.
    ///
    /// # Errors
    ///
    /// See [`Start`]. As for all that waits with a thread, there is [`EmitError::WouldDeadlock`], too.
    ///
    /// # Panics
    ///
    /// See [`BlockingCallbacks`](crate::BlockingCallbacks#panics).
    pub fn start(self) -> Result<Outcome<'a, O, Blocking>, EmitError> {
        self.begin().wait()
    }
}

impl<'a, O: Deciding<'a>, F: Flavour> Asking<'a, O, F> {
    fn begin(self) -> Starting<'a, Outcome<'a, O, F>> {
        let go = |(core, decided)| Asked::Go(RunGuard::new(core, decided));
        let as_given = |opening: &O, core| go((core, opening.as_given()));
        self.0.begin(as_given, async move |begun: Begun<_, _>| {
            Ok(match begun.with_decisions().await? {
                Asked::Go(started) => go(started),
                Asked::Answered(answer) => Asked::Answered(answer),
            })
        })
    }
}

impl<O, F: Flavour> fmt::Debug for Asking<'_, O, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Asking").field(&self.0).finish()
    }
}

/// What the handlers say to a run that is to start.
pub(super) enum Ruling<A> {
    /// It goes on as it is.
    Go,
    /// It goes on with another input.
    Rewritten,
    Answer(A),
    Stop(String),
}

impl<A> Ruling<A> {
    /// What settled it, if anything did; otherwise it goes on.
    pub(super) fn of<R>(settled: Option<Decision<R, A>>, rewritten: bool) -> Self {
        match settled {
            Some(Decision::Answer(answer)) => Self::Answer(answer),
            Some(Decision::Stop(reason)) => Self::Stop(reason),
            Some(Decision::Continue | Decision::Rewrite(_)) | None if rewritten => Self::Rewritten,
            Some(Decision::Continue | Decision::Rewrite(_)) | None => Self::Go,
        }
    }
}

/// A run that has started, whatever the handlers said: what they decided has been seen by all who
/// saw the start.
pub struct Begun<K: Kind, D> {
    pub(super) core: Core<K>,
    pub(super) decided: D,
    pub(super) ruling: Ruling<Output<K>>,
}

impl<K: Kind, D> fmt::Debug for Begun<K, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Begun").field(&self.core).finish()
    }
}

impl<K: Kind> Begun<K, ()> {
    /// One that nobody decides about.
    pub(super) fn unasked(started: Result<Core<K>, EmitError>) -> Result<Self, EmitError> {
        let (decided, ruling) = ((), Ruling::Go);
        started.map(|core| Self {
            core,
            decided,
            ruling,
        })
    }
}

impl<K: Kind, D> Begun<K, D> {
    /// For a framework that does not honour decisions.
    pub(super) async fn without_decisions(self) -> Result<Core<K>, EmitError> {
        let reason = match self.ruling {
            Ruling::Go => return Ok(self.core),
            Ruling::Rewritten => not_honoured::<K>("decided on another input"),
            Ruling::Answer(_) => not_honoured::<K>("answered for the run"),
            Ruling::Stop(reason) => reason,
        };
        Err(stop(self.core, reason).await)
    }

    /// For a framework that does.
    async fn with_decisions(mut self) -> Result<Asked<(Core<K>, D), Output<K>>, EmitError> {
        match self.ruling {
            Ruling::Go | Ruling::Rewritten => Ok(Asked::Go((self.core, self.decided))),
            Ruling::Answer(answer) => {
                let terminal = self.core.ending(|| answer.clone());
                self.core.close(terminal).await?;
                Ok(Asked::Answered(answer))
            }
            Ruling::Stop(reason) => Err(stop(self.core, reason).await),
        }
    }
}

/// What a framework did not ask for.
fn not_honoured<K: Kind>(what: &str) -> String {
    let method = if K::EVENTS.contains(ToolRequest::INDEX) {
        "on_tool_request"
    } else {
        "on_llm_request"
    };
    format!("a handler {what} in `{method}`, but this run was started without `.ask()`")
}

/// Closes a run that must not go on.
async fn stop<K: Kind>(mut core: Core<K>, reason: String) -> EmitError {
    let error = RunError::new(reason.clone()).with_kind(ErrorKind::Stopped);
    core.fail(error, None).await;
    EmitError::Stopped { reason }
}

impl<F: Flavour> RunGuard<Tool, F, String> {
    /// The input of the tool, as the handlers decided.
    #[must_use]
    pub fn input(&self) -> &str {
        &self.decided
    }
}

impl<F: Flavour> RunGuard<Llm, F, Option<Vec<Vec<Message>>>> {
    /// The messages for the model, if the handlers decided on others: of a batch, the first
    /// conversation.
    #[must_use]
    pub fn messages(&self) -> Option<&[Message]> {
        let first = self.batch().and_then(<[_]>::first);
        first.map(Vec::as_slice)
    }

    /// All conversations for the model, if the handlers decided on others for one of them.
    #[must_use]
    pub fn batch(&self) -> Option<&[Vec<Message>]> {
        self.decided.as_deref()
    }
}

impl<F: Flavour> RunGuard<Llm, F, Option<Vec<String>>> {
    /// The prompts for the model, if the handlers decided on others.
    #[must_use]
    pub fn prompts(&self) -> Option<&[String]> {
        self.decided.as_deref()
    }
}
