//! The handler: a span for every run, from its start to its end.

use std::fmt;
use std::sync::Arc;

use callbacks::{
    Document, LlmResult, Message, ModelParams, Run, RunError, RunInfo, Serialized, callback_handler,
};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector};
use serde_json::Value;

use crate::builder::Builder;
use crate::content;
use crate::describe::Description;
use crate::names::{self, operation};
use crate::propagation::{extract, inject};
use crate::recording::{Content, Shared, nothing};

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

    /// The same handler, with the outermost runs under the remote span that these headers name, as
    /// [`extract`](crate::propagation::extract) reads them; where they name none, like this one.
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
    /// Nothing is written if the run is over, or not this handler's. Code that is handed no run finds it
    /// with [`Callbacks::current`](callbacks::Callbacks::current) and its `run_info`.
    ///
    /// ```
    /// use std::collections::HashMap;
    /// use callbacks::ToolRun;
    /// use callbacks_otel::Otel;
    ///
    /// fn headers_for(run: &ToolRun, otel: &Otel) -> HashMap<String, String> {
    ///     let mut headers = HashMap::new();
    ///     otel.inject(run.info(), &mut headers);
    ///     headers
    /// }
    /// # let _ = headers_for;
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
    /// static SEARCH: Serialized = Serialized::new("Search");
    ///
    /// let otel = Otel::new();
    /// let callbacks = Callbacks::new().with(handler(otel.clone()).inline());
    /// let tool = callbacks.tool_start(&SEARCH, "tea").await?;
    /// let run = tool.info().clone();
    /// assert!(otel.context(&run).is_some());
    /// tool.end(&json!("3 kinds of tea")).await?;
    /// assert!(otel.context(&run).is_none());
    /// # Ok::<(), callbacks::EmitError>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn context(&self, run: &RunInfo) -> Option<Context> {
        self.shared.open().get(run).map(|open| open.context.clone())
    }

    /// How many runs have a span that has not ended.
    #[must_use]
    pub fn open_runs(&self) -> usize {
        self.shared.open().len()
    }

    fn start(&self, run: &Run<'_>, description: Description, content: impl FnOnce() -> Content) {
        let outermost = self.parent.as_ref();
        self.shared.start(run, outermost, description, content);
    }

    fn end(&self, run: &Run<'_>, content: impl FnOnce() -> Content) {
        self.shared.end(run, Vec::new(), None, content);
    }

    fn fail(&self, run: &Run<'_>, error: &RunError) {
        self.shared.end(run, Vec::new(), Some(error), nothing);
    }
}

#[callback_handler]
impl Otel {
    fn on_llm_start(
        &self,
        serialized: Option<&Serialized>,
        prompts: &[String],
        params: Option<&ModelParams>,
        run: &Run<'_>,
    ) {
        let operation = operation::TEXT_COMPLETION;
        let description =
            Description::of_model(operation, serialized, params, &self.shared.providers);
        self.start(run, description, || {
            asked(content::prompts(prompts), params)
        });
    }

    fn on_chat_model_start(
        &self,
        serialized: Option<&Serialized>,
        messages: &[Vec<Message>],
        params: Option<&ModelParams>,
        run: &Run<'_>,
    ) {
        let operation = operation::CHAT;
        let description =
            Description::of_model(operation, serialized, params, &self.shared.providers);
        self.start(run, description, || asked(content::chats(messages), params));
    }

    fn on_llm_new_token(&self, run: &Run<'_>) {
        self.shared.chunk(run);
    }

    fn on_llm_end(&self, response: &LlmResult, run: &Run<'_>) {
        self.shared.end_model(run, Some(response), None, || {
            vec![(
                names::GEN_AI_OUTPUT_MESSAGES,
                content::answers(response, false),
            )]
        });
    }

    fn on_llm_error(&self, error: &RunError, response: Option<&LlmResult>, run: &Run<'_>) {
        self.shared.end_model(run, response, Some(error), || {
            let arrived = response.map(|response| content::answers(response, true));
            arrived
                .map(|messages| (names::GEN_AI_OUTPUT_MESSAGES, messages))
                .into_iter()
                .collect()
        });
    }

    fn on_chain_start(&self, serialized: Option<&Serialized>, inputs: &Value, run: &Run<'_>) {
        let description = Description::of_chain(run, serialized, &self.shared.providers);
        self.start(run, description, || {
            of_operation(run, names::GEN_AI_INPUT_MESSAGES, || {
                content::inputs(inputs)
            })
        });
    }

    fn on_chain_end(&self, outputs: &Value, run: &Run<'_>) {
        self.end(run, || {
            of_operation(run, names::GEN_AI_OUTPUT_MESSAGES, || {
                content::outputs(outputs)
            })
        });
    }

    fn on_chain_error(&self, error: &RunError, run: &Run<'_>) {
        self.fail(run, error);
    }

    fn on_tool_start(
        &self,
        serialized: Option<&Serialized>,
        input: &str,
        inputs: Option<&Value>,
        tool_call_id: Option<&str>,
        run: &Run<'_>,
    ) {
        let description = Description::of_tool(run, serialized, tool_call_id);
        self.start(run, description, || {
            let arguments = content::arguments(inputs, input);
            vec![(names::GEN_AI_TOOL_CALL_ARGUMENTS, arguments)]
        });
    }

    fn on_tool_end(&self, output: &Value, run: &Run<'_>) {
        self.end(run, || {
            vec![(names::GEN_AI_TOOL_CALL_RESULT, output.clone())]
        });
    }

    fn on_tool_error(&self, error: &RunError, run: &Run<'_>) {
        self.fail(run, error);
    }

    fn on_retriever_start(&self, serialized: Option<&Serialized>, query: &str, run: &Run<'_>) {
        let description = Description::of_retriever(serialized, &self.shared.providers);
        self.start(run, description, || {
            vec![(names::GEN_AI_RETRIEVAL_QUERY_TEXT, query.into())]
        });
    }

    fn on_retriever_end(&self, documents: &[Document], run: &Run<'_>) {
        self.end(run, || {
            let documents = content::documents(documents);
            vec![(names::GEN_AI_RETRIEVAL_DOCUMENTS, documents)]
        });
    }

    fn on_retriever_error(&self, error: &RunError, run: &Run<'_>) {
        self.fail(run, error);
    }
}

/// What a model is asked, and which tools it is offered.
fn asked(messages: Value, params: Option<&ModelParams>) -> Content {
    let mut content = vec![(names::GEN_AI_INPUT_MESSAGES, messages)];
    let tools = params.map(|params| &params.tools[..]).unwrap_or_default();
    if !tools.is_empty() {
        content.push((names::GEN_AI_TOOL_DEFINITIONS, content::tools(tools)));
    }
    content
}

/// A chain that is only a step is no operation of the conventions, so its content has no name.
fn of_operation(run: &Run<'_>, name: &'static str, messages: impl FnOnce() -> Value) -> Content {
    if Description::is_step(run) {
        return nothing();
    }
    vec![(name, messages())]
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
