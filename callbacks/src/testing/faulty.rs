//! Faulty handlers: they fail, panic, stall, or do in a call what a test wants done there.

use std::fmt;
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Stall;
use super::stall::Gate;
use crate::events::Events;
use crate::{
    BoxFuture, Deliver, Event, EventSet, Handler, Interests, IntoOutcome, Outcome, Registered, Run,
    RunInfo,
};

/// A handler that does not do what a handler should: to test that what embeds this crate holds out.
///
/// By default it is called for all built-in events that are emitted, by plain methods; for a decision
/// event if it is [asked to](Self::on), where it answers nothing or fails. Clones are the same handler:
/// one is registered, another one asked for its [`calls`](Self::calls).
///
/// ```
/// use callbacks::events::LlmNewToken;
/// use callbacks::testing::Faulty;
/// use callbacks::{Callbacks, EmitError, Serialized, handler};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// static MODEL: Serialized = Serialized::new("MyModel");
/// let faulty = Faulty::error("no disk").on::<LlmNewToken>();
/// let callbacks = Callbacks::new().with(handler(faulty.clone()).raise_errors());
///
/// let run = callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]).await?;
/// assert!(matches!(run.new_token("Be").await, Err(EmitError::Raised { .. })));
/// assert_eq!(faulty.calls(), 1);
/// # Ok::<(), callbacks::EmitError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// For the events of another set, say so with [`of`](Self::of).
#[must_use = "a handler does nothing until it is registered, with `Callbacks::with`"]
pub struct Faulty<S: EventSet = Events>(Arc<Fault<S>>);

/// What is registered. It is what makes a handler the same one.
pub struct Fault<S: EventSet> {
    act: Arc<Act>,
    /// `None`: all.
    on: Option<Interests>,
    asynchronous: bool,
    set: PhantomData<fn() -> S>,
}

/// What a call does, and how often it did.
struct Act {
    kind: Kind,
    calls: AtomicUsize,
}

enum Kind {
    Error(String),
    Panic(String),
    Stall(Arc<Gate>),
    Calling(Box<dyn Fn(&Run<'_>) -> Outcome + Send + Sync>),
    CallingAsync(Box<dyn Fn(RunInfo) -> BoxFuture<'static, Outcome> + Send + Sync>),
}

impl Faulty {
    /// Fails in every call, with this message.
    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Kind::Error(message.into()))
    }

    /// Panics in every call, with this message.
    pub fn panic(message: impl Into<String>) -> Self {
        Self::new(Kind::Panic(message.into()))
    }

    /// Stalls in every call until it is let go: a plain method with its thread, an
    /// [async](Self::asynchronous) one at an await.
    ///
    /// ```
    /// use callbacks::testing::Faulty;
    /// use callbacks::{Callbacks, Serialized};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// static MODEL: Serialized = Serialized::new("MyModel");
    /// let (faulty, stall) = Faulty::stall();
    /// let callbacks = Callbacks::new().with(faulty);
    ///
    /// let start = tokio::spawn(async move {
    ///     callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]).await.map(drop)
    /// });
    /// stall.entered().await; // in `on_llm_start`
    /// assert!(!start.is_finished());
    /// stall.release();
    /// start.await??;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn stall() -> (Self, Stall) {
        let gate = Arc::new(Gate::default());
        (Self::new(Kind::Stall(gate.clone())), Stall(gate))
    }

    /// Calls a closure in every call: to emit from within a handler, to fail now and then, to look
    /// at what else is going on just then. It returns what a handler method may return.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    ///
    /// use callbacks::testing::Faulty;
    ///
    /// let tries = AtomicUsize::new(0);
    /// let faulty = Faulty::calling(move |run| match tries.fetch_add(1, Ordering::Relaxed) {
    ///     0 => Err(format!("the first event is refused: #{} of {}", run.seq(), run.name())),
    ///     _ => Ok(()),
    /// });
    /// ```
    pub fn calling<R: IntoOutcome>(call: impl Fn(&Run<'_>) -> R + Send + Sync + 'static) -> Self {
        let call = move |run: &Run<'_>| call(run).into_outcome();
        Self::new(Kind::Calling(Box::new(call)))
    }

    /// Calls a closure in every call and awaits its future, in an async method.
    ///
    /// ```
    /// use callbacks::testing::{Faulty, Recorder, assert_events};
    /// use callbacks::{Callbacks, Serialized};
    /// use serde_json::json;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// static TOOL: Serialized = Serialized::new("Tool");
    /// let elsewhere = Recorder::new();
    /// let others = Callbacks::new().with(elsewhere.clone());
    /// let emits = Faulty::calling_async(move |_| {
    ///     let others = others.clone();
    ///     async move { others.tool_start(&TOOL, "1 + 1").await?.end(json!(2)).await }
    /// });
    ///
    /// let callbacks = Callbacks::new().with(emits);
    /// let run = callbacks.tool_start(&TOOL, "2 + 2").await?;
    /// assert_events!(elsewhere, [ToolStart { input: "1 + 1" }, ToolEnd]);
    /// # Ok::<(), callbacks::EmitError>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn calling_async<F>(call: impl Fn(RunInfo) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output: IntoOutcome> + Send + 'static,
    {
        let call = move |run| -> BoxFuture<'static, Outcome> {
            let called = call(run);
            Box::pin(async move { called.await.into_outcome() })
        };
        Self::new(Kind::CallingAsync(Box::new(call))).asynchronous()
    }

    fn new(kind: Kind) -> Self {
        let calls = AtomicUsize::new(0);
        Self(Arc::new(Fault {
            act: Arc::new(Act { kind, calls }),
            on: None,
            asynchronous: false,
            set: PhantomData,
        }))
    }

    /// Is called for the events of another set, instead of the built-in ones.
    ///
    /// ```
    /// use callbacks::testing::Faulty;
    /// use callbacks::{Callbacks, callback_events, handler};
    ///
    /// #[callback_events]
    /// mod shop {
    ///     pub struct Closed;
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let faulty = Faulty::error("no paper").of::<shop::Events>();
    /// let callbacks = Callbacks::new().with(handler(faulty).raise_errors());
    /// assert!(callbacks.emit(shop::Closed).await.is_err());
    /// # });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of<S: EventSet>(self) -> Faulty<S> {
        Faulty(Arc::new(Fault {
            act: self.0.act.clone(),
            on: None,
            asynchronous: self.0.asynchronous,
            set: PhantomData,
        }))
    }
}

impl<S: EventSet> Faulty<S> {
    /// Is called for this event alone; said again, for that one too. For groups of events there is
    /// `handler(faulty).only(..)`.
    pub fn on<E: Event<Set = S>>(self) -> Self {
        let event = Interests::of(&[E::INDEX]);
        self.change(|fault| fault.on = Some(fault.on.unwrap_or_default() | event))
    }

    /// Is called by async methods, instead of plain ones.
    pub fn asynchronous(self) -> Self {
        self.change(|fault| fault.asynchronous = true)
    }

    /// How often it was called.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.0.act.calls.load(Ordering::SeqCst)
    }

    /// Another handler that does the same, and counts its calls together with this.
    fn change(self, change: impl FnOnce(&mut Fault<S>)) -> Self {
        let mut fault = Fault {
            act: self.0.act.clone(),
            ..*self.0
        };
        change(&mut fault);
        Self(Arc::new(fault))
    }
}

impl<S: EventSet> Clone for Faulty<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: EventSet> fmt::Debug for Faulty<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Faulty").field(&self.0).finish()
    }
}

impl<S: EventSet> Handler<S> for Faulty<S> {
    type Delivery = Fault<S>;

    fn register(self) -> Registered<S, Fault<S>> {
        Registered::new(self.0)
    }
}

impl<S: EventSet> Fault<S> {
    fn events(&self, asynchronous: bool) -> Interests {
        if self.asynchronous == asynchronous {
            self.on.unwrap_or(Interests::ALL.without(S::DECISIONS))
        } else {
            Interests::NONE
        }
    }
}

impl<S: EventSet> Deliver<S> for Fault<S> {
    fn name(&self) -> &'static str {
        "callbacks::testing::Faulty"
    }

    fn interests(&self) -> Interests {
        self.events(false)
    }

    fn async_interests(&self) -> Interests {
        self.events(true)
    }

    fn deliver(&self, run: &Run<'_>, _: &S::Ref<'_>) -> Outcome {
        self.act.count();
        match &self.act.kind {
            Kind::Stall(gate) => {
                gate.block();
                Ok(())
            }
            _ => self.act.at_once(run),
        }
    }

    fn deliver_async<'a, 'e: 'a>(
        &'a self,
        run: &'a Run<'e>,
        _: &'a S::Ref<'e>,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            self.act.count();
            match &self.act.kind {
                Kind::Stall(gate) => {
                    gate.wait().await;
                    Ok(())
                }
                Kind::CallingAsync(call) => call(run.info().clone()).await,
                _ => self.act.at_once(run),
            }
        })
    }
}

impl Act {
    fn count(&self) {
        self.calls.fetch_add(1, Ordering::SeqCst);
    }

    /// What needs no waiting.
    fn at_once(&self, run: &Run<'_>) -> Outcome {
        match &self.kind {
            Kind::Error(message) => Err(message.clone().into()),
            Kind::Panic(message) => panic!("{message}"),
            Kind::Calling(call) => call(run),
            Kind::Stall(_) | Kind::CallingAsync(_) => Ok(()),
        }
    }
}

impl<S: EventSet> fmt::Debug for Fault<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fault")
            .field("does", &self.act.kind)
            .field("on", &self.events(self.asynchronous))
            .field("asynchronous", &self.asynchronous)
            .field("calls", &self.act.calls)
            .finish()
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(message) => f.debug_tuple("Error").field(message).finish(),
            Self::Panic(message) => f.debug_tuple("Panic").field(message).finish(),
            Self::Stall(_) => f.write_str("Stall"),
            Self::Calling(_) => f.write_str("Calling"),
            Self::CallingAsync(_) => f.write_str("CallingAsync"),
        }
    }
}

/// No lock is held while a closure runs; what a panic leaves half done in there is the test's.
impl<S: EventSet> UnwindSafe for Faulty<S> {}
impl<S: EventSet> RefUnwindSafe for Faulty<S> {}
