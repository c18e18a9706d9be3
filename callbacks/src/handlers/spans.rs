//! A handler that shows runs as `tracing` spans.

use std::fmt;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tracing::Span;
use tracing::field::Empty;

use super::open_runs::OpenRuns;
use super::wording::{json, tool_input};
use crate::delivery::lock;
use crate::payload::{Document, LlmResult, Message, ModelParams, RunError, RunKind};
use crate::{Run, RunInfo, callback_handler};

/// The span of a run. A name of a span is fixed where the span is made, so there is one place for each.
macro_rules! span {
    ($name:literal, $parent:expr, $run:expr, $model:expr) => {
        tracing::info_span!(
            target: "callbacks",
            parent: $parent,
            $name,
            otel.name = $run.name(),
            run.id = %$run.id(),
            run.name = $run.name(),
            run.kind = $run.kind().as_str(),
            tags = ?$run.tags(),
            model = $model,
            response.model = Empty,
            response.finish_reason = Empty,
            usage.input_tokens = Empty,
            usage.output_tokens = Empty,
            usage.cached_tokens = Empty,
            usage.reasoning_tokens = Empty,
            input = Empty,
            output = Empty,
        )
    };
}

/// Shows runs as spans of [`tracing`](https://docs.rs/tracing), for whatever subscriber and layers there
/// are: each run is a span with the target `callbacks`, at the level `INFO`, in the span of the run
/// around it. That of an outermost run is in the span that is current where it is started.
///
/// Names of spans are fixed, for filters: `llm` (text and chat), `chain`, `agent`, `tool`, `retriever`, and
/// `run` for kinds of a framework's own.
///
/// | field | holds |
/// |---|---|
/// | `run.id`, `run.name`, `run.kind`, `tags` | what is known of the run from its start on |
/// | `otel.name` | the run's name again: `tracing-opentelemetry` names its span so |
/// | `model` | the model asked for, from [`ModelParams`] |
/// | `response.model`, `response.finish_reason` | the model that answered, and why it stopped (of the first choice) |
/// | `usage.input_tokens`, `usage.output_tokens`, `usage.cached_tokens`, `usage.reasoning_tokens` | what a model took, as far as it said so |
/// | `input`, `output` | what a run was given and what it made, as JSON; only with [`content(true)`](Self::content) |
///
/// A run that fails has an event in its span, at the level `ERROR`, with the fields `run.name`, `kind`,
/// `type_name` and the error's message, which is there with or without content: a provider's may quote the
/// prompt. Where a filter does not want the span of a run, its error and the runs in it are in the next span
/// around.
///
/// A span is over when the terminal event of its run is delivered. Spans are parents and never entered, so no
/// future carries one across an `.await`: what code in a run logs itself is in whatever span that code entered.
///
/// In a [replay](super::replay), spans last as long as that takes: `tracing` cannot be told when something
/// happened.
///
/// Best registered [`inline`](crate::Configured::inline): spans then begin and end when runs do. On a lane,
/// which has threads of its own, spans reach the subscriber of the process only
/// (`tracing::subscriber::set_global_default`), and not one that is set for a thread.
///
/// ```
/// use callbacks::handlers::Spans;
/// use callbacks::{Callbacks, Serialized, handler};
/// use serde_json::json;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// static SEARCH: Serialized = Serialized::new("Search");
///
/// let callbacks = Callbacks::new().with(handler(Spans::new()).inline());
/// let tool = callbacks.tool_start(&SEARCH, "tea").await?;
/// tool.end(&json!("3 kinds of tea")).await?;
/// # Ok::<(), callbacks::EmitError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
pub struct Spans {
    open: Mutex<OpenRuns<Open>>,
    content: bool,
}

/// The span of an open run. Behind an `Arc`, for to clone or drop a span calls the subscriber, which is not
/// done under a lock.
struct Open {
    span: Arc<Span>,
    /// What runs in it is in this span: in its own, or if a filter did not want that, in the next one
    /// around.
    around: Option<Arc<Span>>,
}

impl Spans {
    /// Without prompts, inputs and outputs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether spans hold what runs are given and what they make. It is not for every log: by default,
    /// they do not.
    #[must_use]
    pub fn content(mut self, content: bool) -> Self {
        self.content = content;
        self
    }

    fn start(&self, run: &Run<'_>, params: Option<&ModelParams>, input: impl FnOnce() -> Value) {
        // Kept until its child is there: a span that is over is no parent.
        let around = self.around(run.info());
        let parent = around.as_ref().and_then(|span| span.id());
        let parent = parent.or_else(|| Span::current().id());
        let model = params.and_then(|params| params.model.as_deref());
        let span = match run.kind() {
            RunKind::Llm | RunKind::ChatModel => span!("llm", parent, run, model),
            RunKind::Chain => span!("chain", parent, run, model),
            RunKind::Agent => span!("agent", parent, run, model),
            RunKind::Tool => span!("tool", parent, run, model),
            RunKind::Retriever => span!("retriever", parent, run, model),
            RunKind::Custom(_) => span!("run", parent, run, model),
        };
        self.show(&span, "input", input);
        let span = Arc::new(span);
        let around = if span.is_disabled() {
            around
        } else {
            Some(span.clone())
        };
        let unheard = lock(&self.open).start(run.info(), Open { span, around });
        drop(unheard);
    }

    /// The span around a run. The handler may not have heard of all runs around it.
    fn around(&self, run: &RunInfo) -> Option<Arc<Span>> {
        lock(&self.open).around(run)?.around.clone()
    }

    fn show(&self, span: &Span, field: &str, content: impl FnOnce() -> Value) {
        if self.content && !span.is_disabled() {
            span.record(field, tracing::field::display(content()));
        }
    }

    fn close(&self, run: &Run<'_>) -> Option<Open> {
        let closed = lock(&self.open).end(run.info());
        closed.into_iter().next()
    }

    fn end(&self, run: &Run<'_>, output: impl FnOnce() -> Value) {
        if let Some(Open { span, .. }) = self.close(run) {
            self.show(&span, "output", output);
        }
    }

    fn fail(&self, run: &Run<'_>, error: &RunError) {
        if let Some(open) = self.close(run) {
            open.fail(run, error);
        }
    }

    fn answer(&self, span: &Span, response: &LlmResult) {
        if let Some(model) = response.llm_output.model_name.as_deref() {
            span.record("response.model", model);
        }
        let first = response.generations.iter().flatten().next();
        if let Some(reason) = first.and_then(|first| first.finish_reason.as_deref()) {
            span.record("response.finish_reason", reason);
        }
        let usage = response.usage();
        for (field, tokens) in [
            ("usage.input_tokens", usage.input_tokens),
            ("usage.output_tokens", usage.output_tokens),
            ("usage.cached_tokens", usage.cache_read),
            ("usage.reasoning_tokens", usage.reasoning),
        ] {
            if let Some(tokens) = tokens {
                span.record(field, tokens);
            }
        }
        self.show(span, "output", || json(response));
    }
}

impl Open {
    fn fail(&self, run: &Run<'_>, error: &RunError) {
        let span = self.around.as_ref().and_then(|span| span.id());
        tracing::error!(
            target: "callbacks",
            parent: span.or_else(|| Span::current().id()),
            {
                run.name = run.name(),
                kind = error.kind.as_str(),
                type_name = error.type_name.as_str(),
            },
            "{error}"
        );
    }
}

#[callback_handler(events = crate::events)]
impl Spans {
    fn on_llm_start(&self, prompts: &[String], params: Option<&ModelParams>, run: &Run<'_>) {
        self.start(run, params, || json(prompts));
    }

    fn on_chat_model_start(
        &self,
        messages: &[Vec<Message>],
        params: Option<&ModelParams>,
        run: &Run<'_>,
    ) {
        self.start(run, params, || json(messages));
    }

    fn on_llm_end(&self, response: &LlmResult, run: &Run<'_>) {
        if let Some(Open { span, .. }) = self.close(run) {
            self.answer(&span, response);
        }
    }

    fn on_llm_error(&self, error: &RunError, response: Option<&LlmResult>, run: &Run<'_>) {
        if let Some(open) = self.close(run) {
            if let Some(response) = response {
                self.answer(&open.span, response);
            }
            open.fail(run, error);
        }
    }

    fn on_chain_start(&self, inputs: &Value, run: &Run<'_>) {
        self.start(run, None, || inputs.clone());
    }

    fn on_chain_end(&self, outputs: &Value, run: &Run<'_>) {
        self.end(run, || outputs.clone());
    }

    fn on_chain_error(&self, error: &RunError, run: &Run<'_>) {
        self.fail(run, error);
    }

    fn on_tool_start(&self, input: &str, inputs: Option<&Value>, run: &Run<'_>) {
        self.start(run, None, || tool_input(input, inputs));
    }

    fn on_tool_end(&self, output: &Value, run: &Run<'_>) {
        self.end(run, || output.clone());
    }

    fn on_tool_error(&self, error: &RunError, run: &Run<'_>) {
        self.fail(run, error);
    }

    fn on_retriever_start(&self, query: &str, run: &Run<'_>) {
        self.start(run, None, || query.into());
    }

    fn on_retriever_end(&self, documents: &[Document], run: &Run<'_>) {
        self.end(run, || json(documents));
    }

    fn on_retriever_error(&self, error: &RunError, run: &Run<'_>) {
        self.fail(run, error);
    }
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spans")
            .field("open", &lock(&self.open).len())
            .field("content", &self.content)
            .finish()
    }
}
