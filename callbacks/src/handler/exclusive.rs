//! Exclusive handlers: their methods take `&mut self`, and are never called two at once.

use std::any::type_name;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Arc, Mutex, TryLockError};
use std::thread::{self, ThreadId};

use super::{Answer, Deliver, Handler, Outcome, Registered};
use crate::delivery::{Lane, lock};
use crate::{EventSet, Interests, Run};

/// A handler whose methods take `&mut self`, with its state to come back to.
///
/// Its calls never overlap, wherever the events are emitted, so there is no `Mutex` to write, and
/// the type need not be `Sync`. It has one queue for all run trees; so it is the one handler by which
/// a run tree can make another wait.
///
/// Clones are the same handler. `.with(Counter::default())` wraps by itself; who wants to read the
/// state keeps a clone:
///
/// ```
/// use callbacks::{Callbacks, Exclusive, LlmResult, Serialized, callback_handler};
///
/// #[derive(Default)]
/// struct Counter {
///     tokens: u64,
/// }
///
/// #[callback_handler]
/// impl Counter {
///     fn on_llm_end(&mut self, response: &LlmResult) {
///         self.tokens += response.usage().output_tokens.unwrap_or_default();
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// static MODEL: Serialized = Serialized::new("MyModel");
/// let counter = Exclusive::new(Counter::default());
/// let callbacks = Callbacks::new().with(counter.clone());
///
/// let run = callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]).await?;
/// run.end(|| LlmResult::from_text("Because.")).await?;
///
/// println!("{} tokens", counter.with(|counter| counter.tokens));
/// # Ok::<(), callbacks::EmitError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Exclusive<T>(Arc<Shared<T>>);

/// What an [`Exclusive`] delivers to.
pub struct Shared<T> {
    /// Its queue, if it is not called inline.
    lane: Arc<Lane>,
    state: Mutex<T>,
    /// Where the state is in use.
    used_by: Mutex<Option<ThreadId>>,
}

/// Calls a handler that is exclusive. `#[callback_handler]` implements it for a block with methods
/// that take `&mut self`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an exclusive handler",
    label = "not an exclusive handler",
    note = "`Exclusive` is for handlers with methods that take `&mut self`; others are shared: `Arc::new(handler)`"
)]
pub trait DeliverMut<S: EventSet>: 'static {
    /// The events that it has methods for.
    const INTERESTS: Interests;

    /// Calls the method for `event`.
    ///
    /// # Errors
    ///
    /// Those of the method.
    fn deliver_mut(&mut self, run: &Run<'_>, event: &S::Ref<'_>) -> Outcome;

    /// Calls the method for a decision event. Default: [delivers](Self::deliver_mut) it, and answers
    /// nothing.
    ///
    /// # Errors
    ///
    /// Those of the method.
    fn ask_mut(&mut self, run: &Run<'_>, event: &S::Ref<'_>) -> Answer<S> {
        self.deliver_mut(run, event).map(|()| None)
    }
}

impl<T> Exclusive<T> {
    /// An exclusive handler.
    pub fn new(handler: T) -> Self {
        Self(Arc::new(Shared {
            lane: Arc::default(),
            state: Mutex::new(handler),
            used_by: Mutex::default(),
        }))
    }

    /// Looks at the handler, or changes it, between two of its calls: waits for one that is under
    /// way, and no other begins until `look` returns. So `look` must not wait for an emission that
    /// the handler hears.
    ///
    /// # Panics
    ///
    /// If it is called in one of the handler's own methods, or in itself: the handler is in use.
    pub fn with<R>(&self, look: impl FnOnce(&mut T) -> R) -> R {
        self.0.with(look)
    }

    /// What registers it. Whether it is `Send` is asked where the delivery is named.
    #[doc(hidden)]
    #[must_use]
    pub fn registered<S: EventSet>(self) -> Registered<S, Shared<T>>
    where
        T: DeliverMut<S>,
    {
        let mut registered = Registered::new(self.0);
        registered.options.lane = Some(registered.delivery.lane.clone());
        registered
    }
}

impl<T> Shared<T> {
    fn with<R>(&self, look: impl FnOnce(&mut T) -> R) -> R {
        let here = thread::current().id();
        assert!(
            *lock(&self.used_by) != Some(here),
            "`{}` is in use: `Exclusive::with` was called inside one of its own calls",
            type_name::<T>(),
        );
        let mut state = lock(&self.state);
        *lock(&self.used_by) = Some(here);
        let _used = Used(self);
        look(&mut state)
    }
}

/// The state in use.
struct Used<'s, T>(&'s Shared<T>);

impl<T> Drop for Used<'_, T> {
    fn drop(&mut self) {
        *lock(&self.0.used_by) = None;
    }
}

impl<S: EventSet, T: DeliverMut<S>> Deliver<S> for Shared<T> {
    fn name(&self) -> &'static str {
        type_name::<T>()
    }

    fn interests(&self) -> Interests {
        T::INTERESTS
    }

    fn deliver(&self, run: &Run<'_>, event: &S::Ref<'_>) -> Outcome {
        self.with(|handler| handler.deliver_mut(run, event))
    }

    fn ask(&self, run: &Run<'_>, event: &S::Ref<'_>) -> Answer<S> {
        self.with(|handler| handler.ask_mut(run, event))
    }
}

impl<S: EventSet, T: DeliverMut<S> + Send> Handler<S> for Exclusive<T> {
    type Delivery = Shared<T>;

    fn register(self) -> Registered<S, Shared<T>> {
        self.registered()
    }
}

impl<T> Clone for Exclusive<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Default> Default for Exclusive<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for Exclusive<T> {
    fn from(handler: T) -> Self {
        Self::new(handler)
    }
}

/// A panic leaves the handler as it was at that moment, and it is called again for the next event.
impl<T> UnwindSafe for Exclusive<T> {}
impl<T> RefUnwindSafe for Exclusive<T> {}

impl<T: fmt::Debug> fmt::Debug for Exclusive<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tuple = f.debug_tuple("Exclusive");
        match self.state.try_lock() {
            Ok(state) => tuple.field(&*state),
            Err(TryLockError::Poisoned(poisoned)) => tuple.field(&**poisoned.get_ref()),
            Err(TryLockError::WouldBlock) => tuple.field(&format_args!("in use")),
        };
        tuple.finish()
    }
}
