//! Where spans go, and what is said in them: the settings of an [`Otel`].

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::trace::{Tracer, TracerProvider};
use opentelemetry::{InstrumentationScope, global, global::BoxedTracer};

use crate::handler::{Otel, Shared};
use crate::names;

/// Settings of an [`Otel`], from [`Otel::builder`].
///
/// ```
/// use callbacks_otel::Otel;
/// use opentelemetry_sdk::trace::SdkTracerProvider;
///
/// let provider = SdkTracerProvider::builder().build();
/// let otel = Otel::builder()
///     .tracer_provider(&provider)
///     .provider("openai")
///     .build();
/// # let _ = otel;
/// ```
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    tracer: Option<BoxedTracer>,
    provider: Option<String>,
    clock: Box<dyn Fn() -> SystemTime + Send + Sync>,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            tracer: None,
            provider: None,
            clock: Box::new(SystemTime::now),
        }
    }

    /// Spans go to this provider; by default to the global one, as it is when the handler is built.
    pub fn tracer_provider<P>(mut self, provider: &P) -> Self
    where
        P: TracerProvider,
        P::Tracer: Send + Sync + 'static,
        <P::Tracer as Tracer>::Span: Send + Sync + 'static,
    {
        let tracer = provider.tracer_with_scope(scope());
        self.tracer = Some(BoxedTracer::new(Box::new(tracer)));
        self
    }

    /// Who serves the models, `gen_ai.provider.name`, where a call does not say so itself with
    /// [`ModelParams::provider`](callbacks::ModelParams::provider). By default `_OTHER`.
    pub fn provider(mut self, name: impl Into<String>) -> Self {
        self.provider = Some(name.into());
        self
    }

    /// What ends are timed with; by default [`SystemTime::now`]. Starts are timed by the runs
    /// themselves.
    pub fn clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Box::new(now);
        self
    }

    /// The handler.
    #[must_use]
    pub fn build(self) -> Otel {
        let tracer = self.tracer;
        Otel::of(Arc::new(Shared {
            tracer: tracer.unwrap_or_else(|| global::tracer_with_scope(scope())),
            provider: self.provider,
            clock: self.clock,
            open: std::sync::Mutex::default(),
        }))
    }
}

/// Who records: this crate, in the words of the conventions.
fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(env!("CARGO_PKG_NAME"))
        .with_version(env!("CARGO_PKG_VERSION"))
        .with_schema_url(names::SCHEMA_URL)
        .build()
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("tracer", &self.tracer)
            .field("provider", &self.provider)
            .finish_non_exhaustive()
    }
}
