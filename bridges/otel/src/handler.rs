//! The handler, as applications have it.

use std::fmt;
use std::sync::Arc;

use callbacks::events::Events;
use callbacks::{Handler, Registered, RunInfo, handler};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector};

use crate::builder::Builder;
use crate::propagation::{extract, inject};
use crate::recording::Shared;
use crate::telemetry::Telemetry;

/// Records runs as OpenTelemetry's GenAI conventions ask for it: a span for each.
///
/// A clone is the same handler: where several are registered, each run is recorded once.
///
/// Register it with `handler(otel).inline()`. What it does takes microseconds; inline it sees the
/// current [`Context`] of the code that starts an outermost run, times the ends where they happen, and
/// has a span for a run before the run's work begins. It also works on a lane, without these.
///
/// ```
/// use callbacks::{Callbacks, handler};
/// use callbacks_otel::Otel;
///
/// let otel = Otel::new();
/// let callbacks = Callbacks::new().with(handler(otel).inline());
/// # let _ = callbacks;
/// ```
#[derive(Clone)]
pub struct Otel(Arc<Telemetry>);

impl Otel {
    /// With the global providers, as they are now: set them first.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// With providers and settings of one's own.
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(crate) fn of(shared: Arc<Shared>) -> Self {
        Self(Arc::new(Telemetry::new(shared, None)))
    }

    /// This handler for runs that belong elsewhere: the outermost are under this context instead of the
    /// one that is current when they start.
    ///
    /// Register it in place of this one, and not beside it: of both, the first that hears of a run
    /// decides where that belongs.
    ///
    /// ```
    /// use callbacks::{Callbacks, handler};
    /// use callbacks_otel::Otel;
    /// use opentelemetry::Context;
    ///
    /// let otel = Otel::new();
    /// let apart = otel.under(Context::new()); // of no one's
    /// let callbacks = Callbacks::new().with(handler(apart).inline());
    /// # let _ = callbacks;
    /// ```
    #[must_use]
    pub fn under(&self, parent: Context) -> Self {
        let shared = self.0.shared.clone();
        Self(Arc::new(Telemetry::new(shared, Some(parent))))
    }

    /// This handler for runs that another machine called for: the outermost are [under](Self::under) the
    /// remote span that these headers name, as [`extract`](crate::propagation::extract) reads them. Where
    /// they name none, it is this one.
    ///
    /// It is what the server does with the headers of [`inject`](Self::inject), for each request:
    ///
    /// ```
    /// use std::collections::HashMap;
    /// use callbacks::{Callbacks, handler};
    /// use callbacks_otel::Otel;
    ///
    /// fn callbacks_of(request: &HashMap<String, String>, otel: &Otel) -> Callbacks {
    ///     Callbacks::new().with(handler(otel.continuing(request)).inline())
    /// }
    /// # callbacks_of(&HashMap::new(), &Otel::new());
    /// ```
    #[must_use]
    pub fn continuing(&self, headers: &dyn Extractor) -> Self {
        extract(headers).map_or_else(|| self.clone(), |parent| self.under(parent))
    }

    /// Writes a run's span into the headers of a call to another machine, as W3C Trace Context has it.
    /// Nothing is written if the run is over, or not this handler's.
    ///
    /// Whoever has a guard has the run, as [`RunGuard::info`](callbacks::RunGuard::info); a handler is told
    /// it; and any other code in the [scope](callbacks::RunGuard::scope) of a run finds it:
    ///
    /// ```
    /// use std::collections::HashMap;
    /// use callbacks::Callbacks;
    /// use callbacks_otel::Otel;
    ///
    /// fn headers(otel: &Otel) -> HashMap<String, String> {
    ///     let mut headers = HashMap::new();
    ///     if let Some(run) = Callbacks::current().as_ref().and_then(Callbacks::run_info) {
    ///         otel.inject(run, &mut headers);
    ///     }
    ///     headers
    /// }
    /// # assert!(headers(&Otel::new()).is_empty());
    /// ```
    pub fn inject(&self, run: &RunInfo, headers: &mut dyn Injector) {
        if let Some(context) = self.context(run) {
            inject(&context, headers);
        }
    }

    /// The context of a run's span, to start spans of one's own under; `None` if the run is over, or
    /// not this handler's.
    ///
    /// ```
    /// use callbacks::{Callbacks, Serialized, handler};
    /// use callbacks_otel::Otel;
    /// use serde_json::json;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// static SHELL: Serialized = Serialized::new("Shell");
    ///
    /// let otel = Otel::new();
    /// let callbacks = Callbacks::new().with(handler(otel.clone()).inline());
    /// let tool = callbacks.tool_start(&SHELL, "ls").await?;
    /// let run = tool.info().clone();
    /// assert!(otel.context(&run).is_some());
    /// tool.end(&json!("README.md")).await?;
    /// assert!(otel.context(&run).is_none());
    /// # Ok::<(), callbacks::EmitError>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn context(&self, run: &RunInfo) -> Option<Context> {
        let open = self.0.shared.open();
        open.get(run).map(|open| open.context.clone())
    }

    /// How many runs have a span that has not ended.
    #[must_use]
    pub fn open_runs(&self) -> usize {
        self.0.shared.open().len()
    }
}

impl Handler<Events> for Otel {
    type Delivery = Telemetry;

    fn register(self) -> Registered<Events, Telemetry> {
        handler(self.0).named("callbacks_otel::Otel").register()
    }
}

impl Default for Otel {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Otel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Otel")
            .field("open_runs", &self.open_runs())
            .finish_non_exhaustive()
    }
}
