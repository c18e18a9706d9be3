//! Options of a registration: how a handler is called, said where it is registered.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::{Handler, Queue, Registered};
use crate::delivery::Lane;
use crate::{EventSet, Interests};

#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// Sync methods are called on the emitter's thread.
    pub(crate) inline: bool,
    /// Nobody waits for it: its events are queued.
    pub(crate) background: Option<Queue>,
    pub(crate) name: Option<Cow<'static, str>>,
    /// Its one queue for all run trees, if it is exclusive.
    pub(crate) lane: Option<Arc<Lane>>,
    /// Failures reach the emitter.
    pub(crate) raise_errors: bool,
    /// How long an emission waits for it.
    pub(crate) timeout: Option<Duration>,
    /// All that it is called for, if that is said.
    pub(crate) only: Option<Interests>,
    /// What it is not called for.
    pub(crate) except: Interests,
}

impl Options {
    /// These, and those of the handler within for what these do not say.
    fn over(self, within: Self) -> Self {
        Self {
            inline: self.inline || within.inline,
            background: self.background.or(within.background),
            name: self.name.or(within.name),
            lane: self.lane.or(within.lane),
            raise_errors: self.raise_errors || within.raise_errors,
            timeout: self.timeout.or(within.timeout),
            only: match (self.only, within.only) {
                (Some(one), Some(other)) => Some(one.intersection(other)),
                (one, other) => one.or(other),
            },
            except: self.except | within.except,
        }
    }
}

/// A handler with options, made by [`handler`].
#[derive(Clone, Debug)]
#[must_use = "a handler does nothing until it is registered, with `Callbacks::with`"]
pub struct Configured<H> {
    handler: H,
    options: Options,
}

/// Options for a handler.
///
/// ```
/// use callbacks::{Callbacks, callback_handler, handler};
///
/// #[derive(Default)]
/// struct Gauge;
///
/// #[callback_handler]
/// impl Gauge {
///     fn on_llm_new_token(&self, token: &str) { /* add one to an atomic */ }
/// }
///
/// // quick enough to be called right where the token is emitted
/// let callbacks = Callbacks::new().with(handler(Gauge).inline().named("gauge"));
/// ```
pub fn handler<H>(handler: H) -> Configured<H> {
    Configured {
        handler,
        options: Options::default(),
    }
}

impl<H> Configured<H> {
    /// Calls the sync methods right where an event is emitted, on the emitter's own thread, instead
    /// of away from the event loop. For methods that take microseconds: nothing else happens on
    /// that thread until they return.
    pub fn inline(mut self) -> Self {
        self.options.inline = true;
        self
    }

    /// Queues the handler's events, and does not wait until it has handled them: for what is slow
    /// and nobody needs to wait for. It handles them one after another in each run tree, sync
    /// methods away from the event loop and async ones on a task of their own.
    ///
    /// [`inline`](Self::inline) means nothing then. Its errors are logged and counted, but reach no
    /// emitter, whatever [`raise_errors`](Self::raise_errors) says; its [`timeout`](Self::timeout)
    /// ends its async methods. Decision events are waited for all the same.
    /// [`Callbacks::flush`](crate::Callbacks::flush) waits for what is in the queue.
    ///
    /// ```
    /// use callbacks::{Callbacks, LlmResult, OnFull, Queue, callback_handler, handler};
    ///
    /// struct Audit;
    ///
    /// #[callback_handler]
    /// impl Audit {
    ///     async fn on_llm_end(&self, response: &LlmResult) { /* write it to a database */ }
    /// }
    ///
    /// let queue = Queue::bounded(1024).on_full(OnFull::Wait);
    /// let callbacks = Callbacks::new().with(handler(Audit).background(queue));
    /// ```
    pub fn background(mut self, queue: Queue) -> Self {
        self.options.background = Some(queue);
        self
    }

    /// Names the handler in logs, errors and [flush reports](crate::HandlerReport), instead of by its
    /// type.
    pub fn named(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.options.name = Some(name.into());
        self
    }

    /// Raises the handler's failures to the emitter, as [`EmitError::Raised`](crate::EmitError): its
    /// errors, its panics, and that it took too long. Of several handlers that fail, the one
    /// registered first is raised, after all handlers were called and waited for.
    ///
    /// A failure in a start closes the run; one in an end or an error comes out of it after the
    /// event was delivered. What is emitted inside a callback has no emitter that waits, so nothing is
    /// raised there.
    ///
    /// ```
    /// use callbacks::{Callbacks, EmitError, Serialized, callback_handler, handler};
    ///
    /// struct Budget;
    ///
    /// #[callback_handler]
    /// impl Budget {
    ///     async fn on_llm_start(&self) -> Result<(), String> {
    ///         Err("the budget is spent".to_owned())
    ///     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// static MODEL: Serialized = Serialized::new("MyModel");
    /// let callbacks = Callbacks::new().with(handler(Budget).raise_errors().named("budget"));
    /// let start = callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]).await;
    /// match start {
    ///     Err(EmitError::Raised { handler, source, .. }) => {
    ///         assert_eq!((&*handler, &*source.to_string()), ("budget", "the budget is spent"));
    ///     }
    ///     other => panic!("{other:?}"),
    /// }
    /// # })
    /// ```
    pub fn raise_errors(mut self) -> Self {
        self.options.raise_errors = true;
        self
    }

    /// Waits for the handler no longer than this, for each event; then the emission goes on, and
    /// that is a failure of the handler. An async method is dropped where it waits. A sync method
    /// cannot be stopped: it goes on, and what is queued behind it in its run tree waits. (With 64 sync
    /// methods stuck at once, all others wait, too: that is how many threads there are.) An inline
    /// method is not bounded at all.
    ///
    /// The time starts when the method first has to wait. It is measured by the runtime that the
    /// event is emitted on, or by one of this crate's own if that has no timers. (Tokio tells that by a panic
    /// alone, which is caught, once for each of its threads. A panic hook hears of it, and where panics abort, the
    /// program does: there, build runtimes with `enable_time`.)
    ///
    /// Behind a sync method that is stuck, one event after another is queued when its time is up:
    /// without a timeout, the emitter would wait there instead.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// Calls the handler for these events alone, of those that it has methods for: a group of
    /// [`Interests`], or events by their [`INDEX`](crate::Event::INDEX). (It is asked about
    /// decision events whatever this says: what would decide must not be left out by mistake.)
    ///
    /// ```
    /// use callbacks::events::{LlmEnd, LlmNewToken, ToolEnd};
    /// use callbacks::{Callbacks, Event, Interests, callback_handler, handler};
    ///
    /// struct Log;
    ///
    /// #[callback_handler]
    /// impl Log {
    ///     fn on_llm_new_token(&self, token: &str) {}
    ///     fn on_llm_end(&self) {}
    ///     fn on_tool_end(&self) {}
    /// }
    ///
    /// let callbacks = Callbacks::new().with(handler(Log).only(Interests::LLM | Interests::CHAIN));
    /// assert!(callbacks.wants::<LlmEnd>() && !callbacks.wants::<ToolEnd>());
    ///
    /// let ends = Interests::of(&[LlmEnd::INDEX, ToolEnd::INDEX]);
    /// let callbacks = Callbacks::new().with(handler(Log).only(ends));
    /// assert!(callbacks.wants::<LlmEnd>() && !callbacks.wants::<LlmNewToken>());
    /// ```
    ///
    /// The groups are those of the built-in set: on a handler of another set they choose whatever events have
    /// the same place there. There write `Interests::of(&[shop::Sold::INDEX])`.
    ///
    /// Where this and [`except`](Self::except) leave none of the events that the handler has methods for, its
    /// registration logs a warning.
    pub fn only(mut self, events: Interests) -> Self {
        let only = self.options.only.unwrap_or(Interests::ALL);
        self.options.only = Some(only.intersection(events));
        self
    }

    /// Does not call the handler for these events, unless they are decision events. Which events an
    /// [`Interests`] chooses is told at [`only`](Self::only).
    pub fn except(mut self, events: Interests) -> Self {
        self.options.except = self.options.except | events;
        self
    }
}

impl<S: EventSet, H: Handler<S>> Handler<S> for Configured<H> {
    type Delivery = H::Delivery;

    fn register(self) -> Registered<S, H::Delivery> {
        let registered = self.handler.register();
        Registered {
            options: self.options.over(registered.options),
            ..registered
        }
    }
}
