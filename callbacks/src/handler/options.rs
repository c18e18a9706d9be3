//! Options of a registration: how a handler is called, said where it is registered.

use std::borrow::Cow;

use super::{Handler, Registered};
use crate::EventSet;

#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// Sync methods are called on the emitter's thread.
    pub(crate) inline: bool,
    pub(crate) name: Option<Cow<'static, str>>,
}

impl Options {
    /// These, and those of the handler within for what these do not say.
    fn over(self, within: Self) -> Self {
        Self {
            inline: self.inline || within.inline,
            name: self.name.or(within.name),
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

    /// Names the handler in logs, instead of by its type.
    pub fn named(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.options.name = Some(name.into());
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
