//! Where spans go, and what is said in them: the settings of an [`Otel`].

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::logs::{Logger, LoggerProvider};
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::trace::{Tracer, TracerProvider};
use opentelemetry::{InstrumentationScope, global, global::BoxedTracer};

use crate::capture::{Capture, variable};
use crate::events::Events;
use crate::handler::Otel;
use crate::metrics::Metrics;
use crate::names;
use crate::provider::Providers;
use crate::recording::{Clock, Shared};

const EMIT_EVENTS: &str = "OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT";

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
    meter: Option<Meter>,
    logger: Option<Box<dyn Events>>,
    capture: Option<Capture>,
    emit_events: Option<bool>,
    providers: Providers,
    clock: Option<Clock>,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            tracer: None,
            meter: None,
            logger: None,
            capture: None,
            emit_events: None,
            providers: Providers::default(),
            clock: None,
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

    /// Metrics go to this provider; by default to the global one, as it is when the handler is built.
    pub fn meter_provider(mut self, provider: &impl MeterProvider) -> Self {
        self.meter = Some(provider.meter_with_scope(scope()));
        self
    }

    /// Events go to this provider. There is no global one, so without it there are no events.
    pub fn logger_provider<P>(mut self, provider: &P) -> Self
    where
        P: LoggerProvider,
        P::Logger: Logger + Send + Sync + 'static,
    {
        self.logger = Some(Box::new(provider.logger_with_scope(scope())));
        self
    }

    /// What of the content is recorded, and where. This outranks the environment: only where it is not
    /// called, what [`Capture::VARIABLE`] says there holds, and if that says nothing, nothing is recorded.
    pub fn capture(mut self, capture: Capture) -> Self {
        self.capture = Some(capture);
        self
    }

    /// Whether there are events: for each call of a model one with its details, and for each call that
    /// failed one about the error. This outranks the environment: where it is not called, what
    /// `OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT` says there holds, `true` or `false`, and if that says nothing,
    /// there are events if they are to have content.
    pub fn events(mut self, emit: bool) -> Self {
        self.emit_events = Some(emit);
        self
    }

    /// Who serves the models, `gen_ai.provider.name`, where a call does not say so itself with
    /// [`ModelParams::provider`](callbacks::ModelParams::provider). By default `_OTHER`.
    pub fn provider(mut self, name: impl Into<String>) -> Self {
        self.providers.default = Some(name.into());
        self
    }

    /// What calls itself `from` is recorded as `to`. The conventions' own names are in
    /// [`names::provider`](crate::names::provider), and common others, such as `bedrock` or `azure`, are
    /// recorded as these anyway.
    pub fn rename_provider(mut self, from: impl Into<String>, to: impl Into<String>) -> Self {
        self.providers.renamed.insert(from.into(), to.into());
        self
    }

    /// What ends are timed with; by default [`Run::time`](callbacks::Run::time), which is right in a
    /// [replay](callbacks::handlers::replay), too. Starts are timed by the runs themselves.
    pub fn clock(mut self, now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Some(Box::new(now));
        self
    }

    /// The handler.
    #[must_use]
    pub fn build(self) -> Otel {
        let tracer = self.tracer;
        let meter = self.meter;
        let meter = meter.unwrap_or_else(|| global::meter_with_scope(scope()));
        let capture = self.capture.unwrap_or_else(Capture::from_env);
        let emit = self.emit_events.or_else(emit_events);
        let emit = emit.unwrap_or(capture.on_events());
        if emit && self.logger.is_none() {
            tracing::warn!("no events are emitted: give the builder a `logger_provider`");
        }
        Otel::of(Arc::new(Shared {
            events: self.logger.filter(|_| emit),
            capture,
            metrics: Metrics::new(&meter),
            tracer: tracer.unwrap_or_else(|| global::tracer_with_scope(scope())),
            providers: self.providers,
            clock: self.clock,
            open: std::sync::Mutex::default(),
        }))
    }
}

/// What is neither a yes nor a no says nothing, as in OpenTelemetry's own instrumentations.
fn emit_events() -> Option<bool> {
    let value = variable(EMIT_EVENTS)?;
    match &*value.trim().to_ascii_lowercase() {
        "true" => Some(true),
        "false" => Some(false),
        _ => {
            tracing::warn!("`{EMIT_EVENTS}` is `{value}`, and should be `true` or `false`");
            None
        }
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
            .field("meter", &self.meter)
            .field("capture", &self.capture)
            .field("events", &self.emit_events)
            .field("providers", &self.providers)
            .finish_non_exhaustive()
    }
}
