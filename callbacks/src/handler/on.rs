//! Closures as handlers: each of one event, the one that its parameter names.
//!
//! The closure's type is forgotten where it is given: only there are its parameters and what it
//! returns asked for, so that a mistake in it is one error, on the closure.

use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::{Answer, BoxError, Deliver, Handler, IntoOutcome, Narrowed, Outcome, Registered};
use crate::{BoxFuture, Event, EventSet, Interests, Run};

/// A handler that is a closure, made by [`on`] or [`on_async`]. Clones are the same handler, so it
/// needs no `Arc`.
///
/// ```
/// use callbacks::events::LlmEnd;
/// use callbacks::{On, on};
///
/// fn printer(prefix: &'static str) -> On<LlmEnd<'static>> {
///     on(move |event: &LlmEnd<'_>| println!("{prefix}{}", event.response.text()))
/// }
/// ```
#[must_use = "a handler does nothing until it is registered, with `Callbacks::with`"]
pub struct On<E: Event>(Arc<Narrowed<E::Set>>);

/// What [`on`] and [`on_async`] take: a closure or a function of an event, or of an event and its run,
/// both by reference.
///
/// It holds for all of those, and is not meant to be implemented by hand. `Args`, which is inferred,
/// stands for the parameters. A function that hands a closure on need not name it:
///
/// ```
/// use callbacks::events::LlmEnd;
/// use callbacks::{Callbacks, on};
///
/// fn on_end(callbacks: &Callbacks, call: impl Fn(&LlmEnd<'_>) + Send + Sync + 'static) -> Callbacks {
///     callbacks.with(on(call))
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "this cannot handle an event",
    label = "cannot handle an event",
    note = "it takes an event, by reference and with its type: `|event: &LlmEnd<'_>| ..`",
    note = "it can take the run, too: `|event: &LlmEnd<'_>, run: &Run<'_>| ..`",
    note = "for `on_async`, it returns a future that borrows neither",
    note = "events are the structs of `callbacks::events`, and of any module under `#[callback_events]`"
)]
pub trait HandlerFn<Args> {
    /// The event.
    type Event: Event + 'static;
    /// What it returns.
    type Output;

    /// Calls it.
    fn handle(&self, event: &<Self::Event as Event>::At<'_>, run: &Run<'_>) -> Self::Output;
}

// `FnOnce` is enough to tell which event it is: where a closure is no `Fn`, one bound says so.
impl<E, R, F> HandlerFn<(E,)> for F
where
    F: FnOnce(&'static E) -> R + Lent<E, (E,), R>,
    E: Event + 'static,
{
    type Event = E;
    type Output = R;

    fn handle(&self, event: &E::At<'_>, run: &Run<'_>) -> R {
        self.lend(event, run)
    }
}

impl<E, R, F> HandlerFn<(E, Run<'static>)> for F
where
    F: FnOnce(&'static E, &'static Run<'static>) -> R + Lent<E, (E, Run<'static>), R>,
    E: Event + 'static,
{
    type Event = E;
    type Output = R;

    fn handle(&self, event: &E::At<'_>, run: &Run<'_>) -> R {
        self.lend(event, run)
    }
}

/// A closure that is content with an event, and a run, for as long as the call. (It is not a bound of
/// [`HandlerFn`] itself, because rustc has to know the event to tell it.)
pub trait Lent<E: Event, Args, R> {
    /// Calls it.
    fn lend(&self, event: &E::At<'_>, run: &Run<'_>) -> R;
}

impl<E, R, F> Lent<E, (E,), R> for F
where
    F: for<'v, 'e> Fn(&'v E::At<'e>) -> R,
    E: Event,
{
    fn lend(&self, event: &E::At<'_>, _: &Run<'_>) -> R {
        self(event)
    }
}

impl<E, R, F> Lent<E, (E, Run<'static>), R> for F
where
    F: for<'v, 'e, 'r, 'i> Fn(&'v E::At<'e>, &'r Run<'i>) -> R,
    E: Event,
{
    fn lend(&self, event: &E::At<'_>, run: &Run<'_>) -> R {
        self(event, run)
    }
}

/// Makes a handler out of a closure: for scripts and tests, where a type is too much.
///
/// The closure takes an event, whose type is written down, and the [run](Run) if it wants to. It is
/// called for that event, of whatever set, and for no other.
///
/// ```
/// use callbacks::events::{LlmEnd, LlmNewToken};
/// use callbacks::{Callbacks, LlmResult, Run, Serialized, on};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// static MODEL: Serialized = Serialized::new("MyModel");
/// let callbacks = Callbacks::new()
///     .with(on(|event: &LlmNewToken<'_>| print!("{}", event.token)))
///     .with(on(|event: &LlmEnd<'_>, run: &Run<'_>| {
///         println!("\n{}: {} characters", run.name(), event.response.text().len());
///     }));
///
/// let run = callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]).await?;
/// run.new_token("Because.").await?;
/// run.end(|| LlmResult::from_text("Because.")).await?;
/// # Ok::<(), callbacks::EmitError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// It is what a plain method of a handler is under
/// [`#[callback_handler]`](macro@crate::callback_handler), and all that is said there holds for it:
/// it is called away from the event loop, it takes [options](crate::handler), and it may be called
/// from several threads at once. So it is `Send` and `Sync` and owns what it uses, with `move`; what it
/// changes is in an atomic or a `Mutex`, or goes through a channel. Several closures are several
/// handlers, each with a queue of its own.
///
/// It returns nothing, or `Result<(), E>` where `E` is an error; for a decision event the reply or a
/// `Result` of it:
///
/// ```
/// use std::sync::mpsc;
///
/// use callbacks::events::{LlmNewToken, ToolRequest};
/// use callbacks::{Callbacks, Decision, EmitError, Serialized, handler, on};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// static MODEL: Serialized = Serialized::new("MyModel");
/// static SHELL: Serialized = Serialized::new("Shell");
/// let (tokens, received) = mpsc::channel();
/// // fails when nobody receives any more
/// let send = on(move |event: &LlmNewToken<'_>| tokens.send(event.token.to_owned()));
/// let callbacks = Callbacks::new()
///     .with(handler(send).inline().raise_errors())
///     .with(on(|event: &ToolRequest<'_>| match event.input {
///         "rm -rf /" => Decision::Stop("not on my machine".to_owned()),
///         _ => Decision::Continue,
///     }));
///
/// let run = callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]).await?;
/// run.new_token("Because.").await?;
/// assert_eq!(received.recv(), Ok("Because.".to_owned()));
/// let tool = callbacks.tool_start(&SHELL, "rm -rf /").await;
/// assert!(matches!(tool, Err(EmitError::Stopped { .. })));
/// # Ok::<(), callbacks::EmitError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors and panics
///
/// What the closure fails or panics with is logged, and the run goes on, unless it was registered
/// with [`raise_errors`](crate::Configured::raise_errors). In a decision event, it is a
/// [stop](crate::Reply::stop). In logs, the handler has the name of the function that the closure
/// stands in; [`named`](crate::Configured::named) gives it another.
pub fn on<F, Args>(closure: F) -> On<F::Event>
where
    F: HandlerFn<Args> + Send + Sync + 'static,
    F::Output: IntoOutcome<<F::Event as Event>::Reply>,
    Args: 'static,
{
    On::new(Plain(closure, PhantomData))
}

/// Makes a handler out of a closure that returns a future: what [`on`] is for plain code.
///
/// It is what an async method of a handler is: its future is awaited on the task that emits the event.
/// What the future gives is what a closure [`on`] an event returns.
///
/// The future is `Send`, and it cannot borrow the event or the run: the closure takes out of them what
/// it needs. Stable Rust has no way to say that a future is `Send` if it borrows what its closure is called
/// with. Where the copy is too much, write a method under
/// [`#[callback_handler]`](macro@crate::callback_handler). What rustc says to a closure that borrows is
///
/// * to `on_async(async |event: &LlmEnd<'_>| ..)`: ``implementation of `FnOnce` is not general enough``,
/// * to `on_async(|event: &LlmEnd<'_>| async move { .. event .. })`: `lifetime may not live long enough`.
///
/// Both are cured as here: what is needed is taken out before the `async move`.
///
/// ```
/// use callbacks::events::LlmEnd;
/// use callbacks::{Callbacks, LlmResult, Serialized, on_async};
///
/// async fn save(text: String) -> std::io::Result<()> {
///     // ..
/// #   Ok(())
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// static MODEL: Serialized = Serialized::new("MyModel");
/// let callbacks = Callbacks::new().with(on_async(|event: &LlmEnd<'_>| {
///     let text = event.response.text().to_owned();
///     async move { save(text).await }
/// }));
///
/// let run = callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]).await?;
/// run.end(|| LlmResult::from_text("Because.")).await?;
/// # Ok::<(), callbacks::EmitError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors and panics
///
/// Those of the future, and panics of the closure, are what they are for [`on`].
pub fn on_async<F, Args>(closure: F) -> On<F::Event>
where
    F: HandlerFn<Args> + Send + Sync + 'static,
    F::Output: Future<Output: IntoOutcome<<F::Event as Event>::Reply>> + Send + 'static,
    Args: 'static,
{
    On::new(Awaited(closure, PhantomData))
}

impl<E: Event> On<E> {
    fn new(delivery: impl Deliver<E::Set> + Send + Sync) -> Self {
        Self(Arc::new(Narrowed {
            delivery: Arc::new(delivery),
            to: const { Interests::of(&[E::INDEX]) },
        }))
    }
}

impl<E: Event> Handler<E::Set> for On<E> {
    type Delivery = Narrowed<E::Set>;

    fn register(self) -> Registered<E::Set, Narrowed<E::Set>> {
        Registered::new(self.0)
    }
}

impl<E: Event> Clone for On<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<E: Event> fmt::Debug for On<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let closure = self.0.delivery.name();
        f.debug_tuple("On").field(&E::NAME).field(&closure).finish()
    }
}

/// A closure that is called for its outcome.
struct Plain<F, Args>(F, PhantomData<fn() -> Args>);

impl<E, F, Args> Plain<F, Args>
where
    E: Event,
    F: HandlerFn<Args, Event = E, Output: IntoOutcome<E::Reply>>,
{
    /// What it says to the event; `None` to another.
    fn reply(
        &self,
        run: &Run<'_>,
        event: &<E::Set as EventSet>::Ref<'_>,
    ) -> Result<Option<E::Reply>, BoxError> {
        let event = E::of(event);
        let outcome = event.map(|event| self.0.handle(event, run).into_outcome());
        outcome.transpose()
    }
}

impl<E, F, Args> Deliver<E::Set> for Plain<F, Args>
where
    E: Event,
    F: HandlerFn<Args, Event = E, Output: IntoOutcome<E::Reply>> + 'static,
    Args: 'static,
{
    fn name(&self) -> &'static str {
        type_name::<F>()
    }

    fn interests(&self) -> Interests {
        Interests::ALL
    }

    fn deliver(&self, run: &Run<'_>, event: &<E::Set as EventSet>::Ref<'_>) -> Outcome {
        self.reply(run, event).map(drop)
    }

    fn ask(&self, run: &Run<'_>, event: &<E::Set as EventSet>::Ref<'_>) -> Answer<E::Set> {
        let reply = self.reply(run, event)?;
        Ok(reply.and_then(E::any_reply))
    }
}

/// A closure whose future is awaited for its outcome.
struct Awaited<F, Args>(F, PhantomData<fn() -> Args>);

impl<E, F, Args> Awaited<F, Args>
where
    E: Event,
    F: HandlerFn<Args, Event = E, Output: Future<Output: IntoOutcome<E::Reply>>>,
{
    /// What it says to the event; `None` to another.
    async fn reply(
        &self,
        run: &Run<'_>,
        event: &<E::Set as EventSet>::Ref<'_>,
    ) -> Result<Option<E::Reply>, BoxError> {
        match E::of(event) {
            Some(event) => self.0.handle(event, run).await.into_outcome().map(Some),
            None => Ok(None),
        }
    }
}

impl<E, F, Args> Deliver<E::Set> for Awaited<F, Args>
where
    E: Event,
    F: HandlerFn<Args, Event = E> + Send + Sync + 'static,
    F::Output: Future<Output: IntoOutcome<E::Reply>> + Send + 'static,
    Args: 'static,
{
    fn name(&self) -> &'static str {
        type_name::<F>()
    }

    fn interests(&self) -> Interests {
        Interests::NONE
    }

    fn async_interests(&self) -> Interests {
        Interests::ALL
    }

    fn deliver(&self, _: &Run<'_>, _: &<E::Set as EventSet>::Ref<'_>) -> Outcome {
        Ok(())
    }

    fn deliver_async<'a, 'e: 'a>(
        &'a self,
        run: &'a Run<'e>,
        event: &'a <E::Set as EventSet>::Ref<'e>,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(async move { self.reply(run, event).await.map(drop) })
    }

    fn ask_async<'a, 'e: 'a>(
        &'a self,
        run: &'a Run<'e>,
        event: &'a <E::Set as EventSet>::Ref<'e>,
    ) -> BoxFuture<'a, Answer<E::Set>> {
        Box::pin(async move {
            let reply = self.reply(run, event).await?;
            Ok(reply.and_then(E::any_reply))
        })
    }
}
