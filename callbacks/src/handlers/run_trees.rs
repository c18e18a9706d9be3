//! A handler that gathers each run tree and hands it out when it is over.

use std::fmt;
use std::sync::Mutex;

use serde_json::Value;

use super::run_tree::{Growing, RunTree};
use super::wording::{json, retry, tool_input};
use crate::delivery::lock;
use crate::payload::{
    AgentAction, AgentFinish, Document, LlmResult, Message, RetryState, RunError,
};
use crate::{IntoOutcome, Outcome, Run, callback_handler};

/// Gathers all that is heard of a run tree, and calls a function with it when the outermost run is
/// over: for a page, a database, a test.
///
/// The function is called where the terminal event is delivered, by default on a lane, and run trees can
/// be over at the same time. A run that is not heard, for example because of
/// [`except`](crate::Configured::except), is not in the tree; what ran in it is below the run around it. All
/// that was heard is kept until the outermost run is over.
///
/// ```
/// use std::sync::mpsc;
///
/// use callbacks::handlers::RunTrees;
/// use callbacks::{Callbacks, Serialized};
/// use serde_json::json;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// static SEARCH: Serialized = Serialized::new("Search");
///
/// let (send, trees) = mpsc::channel();
/// let callbacks = Callbacks::new().with(RunTrees::new(move |tree| {
///     let _ = send.send(tree);
/// }));
/// let tool = callbacks.tool_start(&SEARCH, "tea").await?;
/// tool.end(&json!("3 kinds of tea")).await?;
///
/// let tree = trees.recv().unwrap();
/// assert_eq!(tree.root().info.name(), "Search");
/// assert_eq!(tree.root().output, "3 kinds of tea");
/// # Ok::<(), callbacks::EmitError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RunTrees {
    growing: Mutex<Growing>,
    then: Box<dyn Fn(RunTree) -> Outcome + Send + Sync>,
}

impl RunTrees {
    /// Calls this with each tree. Like a handler method, it returns nothing, or a `Result`.
    pub fn new<R: IntoOutcome<()>>(then: impl Fn(RunTree) -> R + Send + Sync + 'static) -> Self {
        Self {
            growing: Mutex::default(),
            then: Box::new(move |tree| then(tree).into_outcome()),
        }
    }

    fn start(&self, run: &Run<'_>, input: Value) {
        lock(&self.growing).start(run, input);
    }

    fn note(&self, run: &Run<'_>, text: String) {
        lock(&self.growing).note(run, text);
    }

    fn end(&self, run: &Run<'_>, output: Value, error: Option<&RunError>) -> Outcome {
        let over = lock(&self.growing).end(run, output, error);
        over.map_or(Ok(()), |tree| (self.then)(tree))
    }
}

#[callback_handler(events = crate::events)]
impl RunTrees {
    fn on_llm_start(&self, prompts: &[String], run: &Run<'_>) {
        self.start(run, json(prompts));
    }

    fn on_chat_model_start(&self, messages: &[Vec<Message>], run: &Run<'_>) {
        self.start(run, json(messages));
    }

    fn on_llm_new_token(&self, run: &Run<'_>) {
        lock(&self.growing).token(run);
    }

    fn on_llm_end(&self, response: &LlmResult, run: &Run<'_>) -> Outcome {
        lock(&self.growing).respond(run, response);
        self.end(run, json(response), None)
    }

    fn on_llm_error(
        &self,
        error: &RunError,
        response: Option<&LlmResult>,
        run: &Run<'_>,
    ) -> Outcome {
        if let Some(response) = response {
            lock(&self.growing).respond(run, response);
        }
        self.end(run, json(&response), Some(error))
    }

    fn on_chain_start(&self, inputs: &Value, run: &Run<'_>) {
        self.start(run, inputs.clone());
    }

    fn on_chain_end(&self, outputs: &Value, run: &Run<'_>) -> Outcome {
        self.end(run, outputs.clone(), None)
    }

    fn on_chain_error(&self, error: &RunError, run: &Run<'_>) -> Outcome {
        self.end(run, Value::Null, Some(error))
    }

    fn on_tool_start(&self, input: &str, inputs: Option<&Value>, run: &Run<'_>) {
        self.start(run, tool_input(input, inputs));
    }

    fn on_tool_end(&self, output: &Value, run: &Run<'_>) -> Outcome {
        self.end(run, output.clone(), None)
    }

    fn on_tool_error(&self, error: &RunError, run: &Run<'_>) -> Outcome {
        self.end(run, Value::Null, Some(error))
    }

    fn on_retriever_start(&self, query: &str, run: &Run<'_>) {
        self.start(run, query.into());
    }

    fn on_retriever_end(&self, documents: &[Document], run: &Run<'_>) -> Outcome {
        self.end(run, json(documents), None)
    }

    fn on_retriever_error(&self, error: &RunError, run: &Run<'_>) -> Outcome {
        self.end(run, Value::Null, Some(error))
    }

    fn on_agent_action(&self, action: &AgentAction, run: &Run<'_>) {
        self.note(run, format!("{}: {}", action.tool, action.tool_input));
    }

    fn on_agent_finish(&self, finish: &AgentFinish, run: &Run<'_>) {
        self.note(run, format!("finish: {}", finish.return_values));
    }

    fn on_text(&self, text: &str, run: &Run<'_>) {
        self.note(run, text.to_owned());
    }

    fn on_retry(&self, retry_state: &RetryState, run: &Run<'_>) {
        self.note(run, retry(retry_state));
    }

    fn on_custom_event(&self, name: &str, data: &Value, run: &Run<'_>) {
        self.note(run, format!("{name}: {data}"));
    }
}

impl fmt::Debug for RunTrees {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunTrees")
            .field("open", &lock(&self.growing).open())
            .finish_non_exhaustive()
    }
}
