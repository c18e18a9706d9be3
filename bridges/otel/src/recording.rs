//! What is recorded at the start of a run and at its end: the span, the metrics, the events.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use callbacks::handlers::OpenRuns;
use callbacks::{LlmResult, Run, RunError, RunKind};
use opentelemetry::global::BoxedTracer;
use opentelemetry::trace::{SpanRef, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, Key, KeyValue};

use crate::capture::{Capture, Content, nothing};
use crate::content::text;
use crate::describe::Description;
use crate::events::{self, Details, Event, Events};
use crate::metrics::{Call, Measured, Metrics};
use crate::names::{self, operation};
use crate::open::{Chunks, OpenRun, since};
use crate::outcome::{error_type, of_response, of_usage};
use crate::provider::Providers;

/// What all clones of a handler share.
pub(crate) struct Shared {
    pub(crate) tracer: BoxedTracer,
    pub(crate) metrics: Metrics,
    /// Where events go, if anywhere.
    pub(crate) events: Option<Box<dyn Events>>,
    pub(crate) capture: Capture,
    pub(crate) providers: Providers,
    /// What ends are timed with, if not by the runs.
    pub(crate) clock: Option<Clock>,
    pub(crate) open: Mutex<OpenRuns<OpenRun>>,
}

pub(crate) type Clock = Box<dyn Fn() -> SystemTime + Send + Sync>;

impl Drop for Shared {
    /// What is open does not look as if it had gone well.
    fn drop(&mut self) {
        let open = self
            .open
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if open.is_empty() {
            return;
        }
        let now = self
            .clock
            .as_ref()
            .map_or_else(SystemTime::now, |now| now());
        for open in open {
            open.end_unheard(now);
        }
    }
}

impl Shared {
    /// No code of others runs under the lock, so what a panic may leave behind is whole.
    pub(crate) fn open(&self) -> MutexGuard<'_, OpenRuns<OpenRun>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn time(&self, run: &Run<'_>) -> SystemTime {
        self.clock.as_ref().map_or_else(|| run.time(), |now| now())
    }

    pub(crate) fn start(
        &self,
        run: &Run<'_>,
        outermost: Option<&Context>,
        description: Description,
        content: impl FnOnce() -> Content,
    ) {
        let parent = {
            let open = self.open();
            // Told by this handler under another parent.
            if open.get(run).is_some() {
                return;
            }
            open.around(run).map(|around| around.context.clone())
        };
        let parent = parent
            .or_else(|| outermost.cloned())
            .unwrap_or_else(Context::current);
        let streams = description.streams;
        let measured = Measured::by(&description);
        let inference = matches!(
            description.operation,
            Some(operation::CHAT | operation::TEXT_COMPLETION)
        );
        let details = inference && self.wanted(events::DETAILS);
        let mut details = details.then(|| Details {
            attributes: description.attributes.clone(),
            content: nothing(),
        });
        let tracer = &self.tracer;
        let span = tracer
            .span_builder(description.name)
            .with_kind(description.kind)
            .with_start_time(run.started_at())
            .with_attributes(description.attributes)
            .start_with_context(tracer, &parent);
        let under = parent.with_span(span);
        let content = self.capture(&under.span(), details.is_some(), content);
        if let Some(details) = &mut details {
            details.content = content;
        }
        let open = OpenRun {
            context: under,
            started_at: run.started_at(),
            measured,
            details,
            streams,
            chunks: Chunks::default(),
            usage: callbacks::TokenUsage::new(),
        };
        let unheard = self.open().start(run, open);
        for unheard in unheard {
            unheard.end_unheard(self.time(run));
        }
    }

    /// A piece of an answer came.
    pub(crate) fn chunk(&self, run: &Run<'_>) {
        let now = self.time(run);
        if let Some(open) = self.open().get_mut(run) {
            open.chunk(run, now);
        }
    }

    /// A run ended; that of a model with what it answered, or what had arrived of that.
    pub(crate) fn end(
        &self,
        run: &Run<'_>,
        response: Option<&LlmResult>,
        error: Option<&RunError>,
        content: impl FnOnce() -> Content,
    ) {
        let mut ended = {
            let mut open = self.open();
            // What a model used is also used by what is around it.
            if let Some(response) = response {
                for around in run.ancestors() {
                    if let Some(around) = open.get_mut(around) {
                        around.usage += response.usage();
                    }
                }
            }
            open.end(run).into_iter()
        };
        let Some(open) = ended.next() else {
            return;
        };
        let duration = since(run.started_at(), self.time(run));
        let end = run.started_at() + duration;
        ended.for_each(|inside| inside.end_unheard(end));
        let first_chunk = open.first_chunk(response);
        let mut attributes = response
            .map(|response| of_response(response, error.is_some()))
            .unwrap_or_default();
        if run.kind() == RunKind::Agent {
            attributes.extend(of_usage(&open.usage));
        }
        if let Some(time) = first_chunk {
            let name = names::GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK;
            attributes.push(KeyValue::new(name, time.as_secs_f64()));
            // A span keeps an attribute as often as it is set.
            if open.streams.is_none() {
                attributes.push(KeyValue::new(names::GEN_AI_REQUEST_STREAM, true));
            }
        }
        let span = open.context.span();
        let called = open.measured.is_some();
        if let Some(measured) = open.measured {
            let call = Call {
                duration,
                first_chunk,
                further_chunks: &open.chunks.further,
                response,
                error,
            };
            self.metrics.record(measured, &call);
        }
        if let Some(error) = error {
            attributes.push(KeyValue::new(names::ERROR_TYPE, error_type(error)));
            // What an error says may be what the user said.
            let shown = self.capture.on_spans();
            let shown = if shown { &*error.message } else { "" };
            span.set_status(Status::error(shown.to_owned()));
            if called {
                self.emit_failure(&span, error, end);
            }
        }
        let content = self.capture(&span, open.details.is_some(), content);
        if let Some(mut details) = open.details {
            details.attributes.extend_from_slice(&attributes);
            details.content.extend(content);
            self.emit_details(&span, details, end);
        }
        span.set_attributes(attributes);
        span.end_with_timestamp(end);
    }

    /// Makes the content if it goes anywhere, and puts it on the span if it belongs there. What is
    /// given back is for the event.
    fn capture(
        &self,
        span: &SpanRef<'_>,
        details: bool,
        content: impl FnOnce() -> Content,
    ) -> Content {
        let on_span = self.capture.on_spans() && span.is_recording();
        let on_event = self.capture.on_events() && details;
        if !on_span && !on_event {
            return nothing();
        }
        let content = content();
        if on_span {
            let content = content.iter();
            span.set_attributes(content.map(|(name, value)| KeyValue::new(*name, text(value))));
        }
        if on_event { content } else { nothing() }
    }

    fn wanted(&self, event: (&'static str, opentelemetry::logs::Severity)) -> bool {
        let events = self.events.as_ref();
        events.is_some_and(|events| events.wanted(event))
    }

    fn emit_details(&self, span: &SpanRef<'_>, details: Details, time: SystemTime) {
        let attributes = details.attributes.iter().map(events::attribute);
        let content = details.content.into_iter();
        let content = content.map(|(name, json)| (Key::new(name), events::structured(json)));
        let attributes = attributes.chain(content).collect();
        self.emit(events::DETAILS, span, time, attributes);
    }

    fn emit_failure(&self, span: &SpanRef<'_>, error: &RunError, time: SystemTime) {
        if !self.wanted(events::FAILED) {
            return;
        }
        let mut attributes = vec![KeyValue::new(names::EXCEPTION_TYPE, error_type(error))];
        if self.capture.on_events() {
            let message = error.message.clone();
            attributes.push(KeyValue::new(names::EXCEPTION_MESSAGE, message));
        }
        let attributes = attributes.iter().map(events::attribute).collect();
        self.emit(events::FAILED, span, time, attributes);
    }

    fn emit(
        &self,
        (name, severity): (&'static str, opentelemetry::logs::Severity),
        span: &SpanRef<'_>,
        time: SystemTime,
        attributes: Vec<(Key, opentelemetry::logs::AnyValue)>,
    ) {
        if let Some(events) = &self.events {
            events.emit(Event {
                name,
                severity,
                time,
                span: span.span_context().clone(),
                attributes,
            });
        }
    }
}
