//! What is done for each event.

use std::fmt;
use std::sync::Arc;

use callbacks::{
    Document, LlmResult, Message, ModelParams, Run, RunError, Serialized, callback_handler,
};
use opentelemetry::Context;
use serde_json::Value;

use crate::capture::{Content, nothing};
use crate::content;
use crate::describe::Description;
use crate::names::{self, operation};
use crate::recording::Shared;

/// What an [`Otel`](crate::Otel) registers: what all of its clones have in common.
pub struct Telemetry {
    pub(crate) shared: Arc<Shared>,
    /// Where outermost runs belong; `None` for the context that is current at their start.
    outermost: Option<Context>,
}

impl Telemetry {
    pub(crate) fn new(shared: Arc<Shared>, outermost: Option<Context>) -> Self {
        Self { shared, outermost }
    }

    fn start(&self, run: &Run<'_>, description: Description, content: impl FnOnce() -> Content) {
        let outermost = self.outermost.as_ref();
        self.shared.start(run, outermost, description, content);
    }

    fn end(&self, run: &Run<'_>, content: impl FnOnce() -> Content) {
        self.shared.end(run, None, None, content);
    }

    fn fail(&self, run: &Run<'_>, error: &RunError) {
        self.shared.end(run, None, Some(error), nothing);
    }
}

#[callback_handler]
impl Telemetry {
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
        self.shared.end(run, Some(response), None, || {
            vec![(
                names::GEN_AI_OUTPUT_MESSAGES,
                content::answers(response, false),
            )]
        });
    }

    fn on_llm_error(&self, error: &RunError, response: Option<&LlmResult>, run: &Run<'_>) {
        self.shared.end(run, response, Some(error), || {
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

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry")
            .field("open_runs", &self.shared.open().len())
            .finish_non_exhaustive()
    }
}
