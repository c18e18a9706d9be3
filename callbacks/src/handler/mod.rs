//! Handlers: what can be registered, and how an event reaches it.

mod exclusive;
mod narrowed;
mod on;
mod options;
mod queue;

use std::fmt;
use std::future::ready;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

pub use exclusive::{DeliverMut, Exclusive, Shared};
pub use on::{HandlerFn, On, on, on_async};
pub use options::{Configured, handler};
pub use queue::{OnFull, Queue};

pub(crate) use narrowed::Narrowed;
pub(crate) use options::Options;

use crate::set::method;
use crate::{EventSet, Interests, Run};

/// Any error.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A boxed future, as the async methods of handlers return it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a handler method gives back: an error is logged, it does not stop the run.
pub type Outcome = Result<(), BoxError>;

/// What a handler answers to a decision event of `S`: `None` if it has nothing to say. An error is a
/// stop.
pub type Answer<S> = Result<Option<<S as EventSet>::Reply>, BoxError>;

/// What [`Callbacks::with`](crate::Callbacks::with) takes: a handler of the events of `S`.
///
/// `#[callback_handler]` implements it. It holds for `T`, for `Arc<T>` (which the caller can keep,
/// and which is called once even if it is registered twice), for [`Exclusive<T>`](Exclusive) if methods
/// take `&mut self`, for a closure [`on`] an event, and for [`handler`]`(T)` with options.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a callback handler",
    label = "not a callback handler",
    note = "put `#[callback_handler]` on the impl block of its type, with methods named after events, such as `on_llm_start`",
    note = "for events of another set: `#[callback_handler(events = path::to::set)]`",
    note = "for a closure: `on(|event: &LlmEnd<'_>| ..)`",
    note = "a reference or a `Box` is no handler: pass the handler itself, or `arc.clone()`"
)]
pub trait Handler<S: EventSet>: Sized {
    /// What the events are delivered to, from any thread, and from several at once.
    type Delivery: Deliver<S> + Send + Sync;

    /// Makes it ready to be called.
    fn register(self) -> Registered<S, Self::Delivery>;
}

/// Calls a handler, whatever event of `S` it is. `#[callback_handler]` implements it. Who wraps another one
/// passes on every method, also those with a default.
///
/// By hand it is one handler of every event, of any set:
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use callbacks::events::Events;
/// use callbacks::{Callbacks, Deliver, EventSet, Interests, Outcome, Run};
/// use serde_json::json;
///
/// #[derive(Default)]
/// struct Count(AtomicU64);
///
/// impl<S: EventSet> Deliver<S> for Count {
///     fn interests(&self) -> Interests {
///         Interests::ALL.without(S::DECISIONS)
///     }
///
///     fn deliver(&self, _: &Run<'_>, _: &S::Ref<'_>) -> Outcome {
///         self.0.fetch_add(1, Ordering::Relaxed);
///         Ok(())
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let count = Arc::new(Count::default());
/// let callbacks = Callbacks::new().with::<Events, _>(count.clone());
/// callbacks.custom_event("tick", || json!(null)).await?;
/// assert_eq!(count.0.load(Ordering::Relaxed), 1);
/// # Ok::<(), callbacks::EmitError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler that can be shared",
    label = "not a handler that can be shared",
    note = "one with methods that take `&mut self` is registered without an `Arc`: `.with(handler)`, or `.with(Exclusive::new(handler))` to have it back",
    note = "one whose clones are the same handler, such as `Usage`, `TokenBudget` and `Recorder`, is registered without one, too: `.with(handler.clone())`",
    note = "one that implements the traits by hand is registered as `ByHand(handler)`"
)]
pub trait Deliver<S: EventSet>: 'static {
    /// The handler's name in logs. Default: its type.
    fn name(&self) -> &'static str {
        std::any::type_name::<Self>()
    }

    /// The method that is called for the event with this index, for logs and errors.
    fn method(&self, event: u32) -> &'static str {
        method::<S>(event)
    }

    /// The events that [`deliver`](Self::deliver) does something for.
    fn interests(&self) -> Interests;

    /// The events that [`deliver_async`](Self::deliver_async) does something for. Default: none.
    fn async_interests(&self) -> Interests {
        Interests::NONE
    }

    /// Calls the plain method for `event`.
    ///
    /// # Errors
    ///
    /// Those of the method.
    fn deliver(&self, run: &Run<'_>, event: &S::Ref<'_>) -> Outcome;

    /// Calls the async method for `event`. Default: there is none, and nothing is done.
    fn deliver_async<'a, 'e: 'a>(
        &'a self,
        run: &'a Run<'e>,
        event: &'a S::Ref<'e>,
    ) -> BoxFuture<'a, Outcome> {
        let _ = (run, event);
        Box::pin(ready(Ok(())))
    }

    /// Calls the plain method for a decision event. Default: [delivers](Self::deliver) it, and answers
    /// nothing.
    ///
    /// # Errors
    ///
    /// Those of the method.
    fn ask(&self, run: &Run<'_>, event: &S::Ref<'_>) -> Answer<S> {
        self.deliver(run, event).map(|()| None)
    }

    /// Calls the async method for a decision event. Default: [delivers](Self::deliver_async) it, and
    /// answers nothing.
    fn ask_async<'a, 'e: 'a>(
        &'a self,
        run: &'a Run<'e>,
        event: &'a S::Ref<'e>,
    ) -> BoxFuture<'a, Answer<S>> {
        let delivered = self.deliver_async(run, event);
        Box::pin(async move { delivered.await.map(|()| None) })
    }
}

/// A handler that is ready to be called, with its options.
///
/// Who implements [`Handler`] by hand makes one of what the events are delivered to:
///
/// ```
/// use std::sync::Arc;
///
/// use callbacks::events::{AnyEvent, Events, Text};
/// use callbacks::{Callbacks, Deliver, Handler, Interests, Outcome, Registered, Run};
///
/// struct Printer;
///
/// impl Handler<Events> for Printer {
///     type Delivery = Self;
///
///     fn register(self) -> Registered<Events, Self> {
///         Registered::new(Arc::new(self))
///     }
/// }
///
/// impl Deliver<Events> for Printer {
///     fn interests(&self) -> Interests {
///         Interests::TEXT
///     }
///
///     fn deliver(&self, run: &Run<'_>, event: &AnyEvent<'_>) -> Outcome {
///         println!("{}: {event:?}", run.name());
///         Ok(())
///     }
/// }
///
/// let callbacks = Callbacks::new().with(Printer);
/// assert!(callbacks.wants::<Text>());
/// ```
pub struct Registered<S: EventSet, D> {
    pub(crate) delivery: Arc<D>,
    pub(crate) options: Options,
    set: PhantomData<fn() -> S>,
}

impl<S: EventSet, D: Deliver<S>> Registered<S, D> {
    /// A handler without options.
    #[must_use]
    pub fn new(delivery: Arc<D>) -> Self {
        Self {
            delivery,
            options: Options::default(),
            set: PhantomData,
        }
    }
}

impl<S: EventSet, D> Registered<S, D> {
    /// Goes by the name of this type, and not by that of what is called.
    pub(crate) fn named_after<T>(mut self) -> Self {
        self.options.name = Some(std::any::type_name::<T>().into());
        self
    }
}

impl<S: EventSet, D> fmt::Debug for Registered<S, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registered")
            .field("delivery", &std::any::type_name::<D>())
            .field("options", &self.options)
            .finish()
    }
}

impl<S: EventSet, T: Deliver<S> + Send + Sync> Handler<S> for Arc<T> {
    type Delivery = T;

    fn register(self) -> Registered<S, T> {
        Registered::new(self)
    }
}

/// What a handler method, or a closure [`on`] an event, may return: `R`, which is `()` unless its event is a decision event, or a
/// `Result` of it.
#[diagnostic::on_unimplemented(
    message = "this handler cannot return `{Self}`",
    label = "not an outcome of this handler",
    note = "it returns `{R}`, or `Result<{R}, E>` where `E` is an error",
    note = "a future is awaited in an `async fn`, and with `on_async(..)`"
)]
pub trait IntoOutcome<R = ()> {
    /// It, as a `Result`.
    ///
    /// # Errors
    ///
    /// Those of the method.
    fn into_outcome(self) -> Result<R, BoxError>;
}

impl<R> IntoOutcome<R> for R {
    fn into_outcome(self) -> Result<R, BoxError> {
        Ok(self)
    }
}

impl<R, E: Into<BoxError>> IntoOutcome<R> for Result<R, E> {
    fn into_outcome(self) -> Result<R, BoxError> {
        self.map_err(Into::into)
    }
}
