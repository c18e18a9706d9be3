//! The handler: a span for every run, from its start to its end.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use callbacks::{
    LlmResult, ModelParams, Run, RunError, RunId, RunKind, Serialized, callback_handler,
};
use opentelemetry::global::BoxedTracer;
use opentelemetry::trace::{Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};

use crate::builder::Builder;
use crate::describe::Description;
use crate::names::{self, operation};
use crate::open::{OpenRun, OpenRuns, since};
use crate::outcome::{error_type, of_response, of_usage};

/// Records runs as OpenTelemetry's GenAI conventions ask for it: a span for each.
///
/// It is cheap to clone, and its clones are one: they record each run once.
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
pub struct Otel {
    shared: Arc<Shared>,
    /// Where outermost runs belong; `None` for the context that is current at their start.
    parent: Option<Context>,
}

pub(crate) struct Shared {
    pub(crate) tracer: BoxedTracer,
    pub(crate) provider: Option<String>,
    pub(crate) clock: Box<dyn Fn() -> SystemTime + Send + Sync>,
    pub(crate) open: Mutex<OpenRuns>,
}

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
        Self {
            shared,
            parent: None,
        }
    }

    /// The same handler, with the outermost runs under this context instead of the one that is
    /// current when they start.
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
        Self {
            shared: self.shared.clone(),
            parent: Some(parent),
        }
    }

    /// The context of a run's span, to start spans of one's own under; `None` if the run is over, or
    /// not this handler's.
    ///
    /// ```
    /// use callbacks::RunId;
    /// use callbacks_otel::Otel;
    ///
    /// let otel = Otel::new();
    /// assert!(otel.context(RunId::from(1)).is_none());
    /// ```
    #[must_use]
    pub fn context(&self, run: RunId) -> Option<Context> {
        self.open().get(run).map(|open| open.context.clone())
    }

    /// How many runs have a span that has not ended.
    #[must_use]
    pub fn open_runs(&self) -> usize {
        self.open().len()
    }

    /// No user code runs under the lock, so what a panic may leave behind is whole.
    fn open(&self) -> MutexGuard<'_, OpenRuns> {
        let open = self.shared.open.lock();
        open.unwrap_or_else(PoisonError::into_inner)
    }

    fn provider(&self) -> Option<&str> {
        self.shared.provider.as_deref()
    }

    fn start(&self, run: &Run<'_>, description: Description) {
        let parent = {
            let open = self.open();
            if open.contains(run.id()) {
                return;
            }
            open.around(run).map(|around| around.context.clone())
        };
        let parent = parent
            .or_else(|| self.parent.clone())
            .unwrap_or_else(Context::current);
        let mut attributes = description.attributes.iter();
        let streams = attributes.any(|known| known.key.as_str() == names::GEN_AI_REQUEST_STREAM);
        let tracer = &self.shared.tracer;
        let span = tracer
            .span_builder(description.name)
            .with_kind(description.kind)
            .with_start_time(run.started_at())
            .with_attributes(description.attributes)
            .start_with_context(tracer, &parent);
        let open = OpenRun {
            context: parent.with_span(span),
            streams,
            first_chunk: None,
            usage: callbacks::TokenUsage::new(),
        };
        let before = self.open().insert(run.id(), open);
        drop(before);
    }

    fn end(&self, run: &Run<'_>, mut attributes: Vec<KeyValue>, error: Option<&RunError>) {
        let Some(open) = self.open().remove(run.id()) else {
            return;
        };
        let duration = since(run.started_at(), (self.shared.clock)());
        if run.kind() == RunKind::Agent {
            attributes.extend(of_usage(&open.usage));
        }
        let span = open.context.span();
        if let Some(error) = error {
            attributes.push(KeyValue::new(names::ERROR_TYPE, error_type(error)));
            span.set_status(Status::error(""));
        }
        span.set_attributes(attributes);
        span.end_with_timestamp(run.started_at() + duration);
    }

    fn model_end(&self, run: &Run<'_>, response: Option<&LlmResult>, error: Option<&RunError>) {
        let mut attributes = response.map(of_response).unwrap_or_default();
        let (first_chunk, streams) = {
            let mut open = self.open();
            if let Some(response) = response
                && open.contains(run.id())
            {
                open.used(run, response.usage());
            }
            let open = open.get(run.id());
            open.map_or((None, false), |open| (open.first_chunk, open.streams))
        };
        // What the stream itself measured is nearer to the matter.
        let measured = response.and_then(|response| response.llm_output.time_to_first_token);
        if let Some(time) = measured.or(first_chunk) {
            let time = time.as_secs_f64();
            attributes.push(KeyValue::new(
                names::GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK,
                time,
            ));
            // A span keeps an attribute as often as it is set.
            if !streams {
                attributes.push(KeyValue::new(names::GEN_AI_REQUEST_STREAM, true));
            }
        }
        self.end(run, attributes, error);
    }
}

#[callback_handler]
impl Otel {
    fn on_llm_start(
        &self,
        serialized: Option<&Serialized>,
        params: Option<&ModelParams>,
        run: &Run<'_>,
    ) {
        let operation = operation::TEXT_COMPLETION;
        let description = Description::of_model(operation, serialized, params, self.provider());
        self.start(run, description);
    }

    fn on_chat_model_start(
        &self,
        serialized: Option<&Serialized>,
        params: Option<&ModelParams>,
        run: &Run<'_>,
    ) {
        let operation = operation::CHAT;
        let description = Description::of_model(operation, serialized, params, self.provider());
        self.start(run, description);
    }

    fn on_llm_new_token(&self, run: &Run<'_>) {
        if self.open().awaits_chunk(run.id()) {
            // The clock is the user's, so it is not asked under the lock.
            let now = (self.shared.clock)();
            self.open().chunk(run, now);
        }
    }

    fn on_llm_end(&self, response: &LlmResult, run: &Run<'_>) {
        self.model_end(run, Some(response), None);
    }

    fn on_llm_error(&self, error: &RunError, response: Option<&LlmResult>, run: &Run<'_>) {
        self.model_end(run, response, Some(error));
    }

    fn on_chain_start(&self, serialized: Option<&Serialized>, run: &Run<'_>) {
        self.start(run, Description::of_chain(run, serialized, self.provider()));
    }

    fn on_chain_end(&self, run: &Run<'_>) {
        self.end(run, Vec::new(), None);
    }

    fn on_chain_error(&self, error: &RunError, run: &Run<'_>) {
        self.end(run, Vec::new(), Some(error));
    }

    fn on_tool_start(
        &self,
        serialized: Option<&Serialized>,
        tool_call_id: Option<&str>,
        run: &Run<'_>,
    ) {
        self.start(run, Description::of_tool(run, serialized, tool_call_id));
    }

    fn on_tool_end(&self, run: &Run<'_>) {
        self.end(run, Vec::new(), None);
    }

    fn on_tool_error(&self, error: &RunError, run: &Run<'_>) {
        self.end(run, Vec::new(), Some(error));
    }

    fn on_retriever_start(&self, serialized: Option<&Serialized>, run: &Run<'_>) {
        self.start(run, Description::of_retriever(serialized, self.provider()));
    }

    fn on_retriever_end(&self, run: &Run<'_>) {
        self.end(run, Vec::new(), None);
    }

    fn on_retriever_error(&self, error: &RunError, run: &Run<'_>) {
        self.end(run, Vec::new(), Some(error));
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
