//! Every built-in event as a line.

use std::fmt;

use callbacks::events::{
    AgentAction, AgentFinish, ChainEnd, ChainError, ChainStart, ChatModelStart, CustomEvent,
    LlmEnd, LlmError, LlmNewToken, LlmStart, RetrieverEnd, RetrieverError, RetrieverStart, Retry,
    Text, ToolEnd, ToolError, ToolStart,
};
use callbacks::{Callbacks, Run, callback_handler};

use crate::Log;

/// Callbacks with a [`Logger`], and its log.
pub fn logger() -> (Callbacks, Log) {
    let logger = Logger::default();
    let log = logger.0.clone();
    (Callbacks::new().with(logger), log)
}

/// Writes every built-in event into its log: the run's name, the event, its fields.
#[derive(Clone, Debug, Default)]
pub struct Logger(pub Log);

impl Logger {
    fn add(&self, run: &Run<'_>, event: impl fmt::Display) {
        self.0.add(format_args!("{}: {event}", run.name()));
    }
}

#[callback_handler]
impl Logger {
    fn on_llm_start(&self, event: &LlmStart<'_>, run: &Run<'_>) {
        self.add(run, format_args!("llm start {:?}", event.prompts));
    }

    fn on_chat_model_start(&self, event: &ChatModelStart<'_>, run: &Run<'_>) {
        let texts = event
            .messages
            .iter()
            .flatten()
            .map(callbacks::Message::text);
        self.add(
            run,
            format_args!("chat model start {:?}", texts.collect::<Vec<_>>()),
        );
    }

    fn on_llm_new_token(&self, event: &LlmNewToken<'_>, run: &Run<'_>) {
        let chunk = event.chunk.map(|chunk| &chunk.text);
        self.add(
            run,
            format_args!("token {:?} {chunk:?} {}", event.token, event.choice),
        );
    }

    fn on_llm_end(&self, event: &LlmEnd<'_>, run: &Run<'_>) {
        let model = event.params.and_then(|params| params.model.as_deref());
        self.add(
            run,
            format_args!("llm end {:?} {model:?}", event.response.text()),
        );
    }

    fn on_llm_error(&self, event: &LlmError<'_>, run: &Run<'_>) {
        let partial = event.response.map(callbacks::LlmResult::text);
        self.add(
            run,
            format_args!("llm error {:?} {partial:?}", event.error.kind),
        );
    }

    fn on_chain_start(&self, event: &ChainStart<'_>, run: &Run<'_>) {
        self.add(run, format_args!("chain start {}", event.inputs));
    }

    fn on_chain_end(&self, event: &ChainEnd<'_>, run: &Run<'_>) {
        self.add(run, format_args!("chain end {}", event.outputs));
    }

    fn on_chain_error(&self, event: &ChainError<'_>, run: &Run<'_>) {
        self.add(run, format_args!("chain error {:?}", event.error.kind));
    }

    fn on_tool_start(&self, event: &ToolStart<'_>, run: &Run<'_>) {
        let (input, inputs, id) = (event.input, event.inputs, event.tool_call_id);
        self.add(run, format_args!("tool start {input:?} {inputs:?} {id:?}"));
    }

    fn on_tool_end(&self, event: &ToolEnd<'_>, run: &Run<'_>) {
        self.add(
            run,
            format_args!("tool end {} {:?}", event.output, event.tool_call_id),
        );
    }

    fn on_tool_error(&self, event: &ToolError<'_>, run: &Run<'_>) {
        let (error, id) = (event.error, event.tool_call_id);
        self.add(
            run,
            format_args!("tool error {:?} {:?} {id:?}", error.kind, error.message),
        );
    }

    fn on_agent_action(&self, event: &AgentAction<'_>, run: &Run<'_>) {
        self.add(run, format_args!("agent action {:?}", event.action.tool));
    }

    fn on_agent_finish(&self, event: &AgentFinish<'_>, run: &Run<'_>) {
        self.add(
            run,
            format_args!("agent finish {}", event.finish.return_values),
        );
    }

    fn on_retriever_start(&self, event: &RetrieverStart<'_>, run: &Run<'_>) {
        self.add(run, format_args!("retriever start {:?}", event.query));
    }

    fn on_retriever_end(&self, event: &RetrieverEnd<'_>, run: &Run<'_>) {
        self.add(run, format_args!("retriever end {}", event.documents.len()));
    }

    fn on_retriever_error(&self, event: &RetrieverError<'_>, run: &Run<'_>) {
        self.add(run, format_args!("retriever error {:?}", event.error.kind));
    }

    fn on_text(&self, event: &Text<'_>, run: &Run<'_>) {
        self.add(run, format_args!("text {:?}", event.text));
    }

    fn on_retry(&self, event: &Retry<'_>, run: &Run<'_>) {
        self.add(run, format_args!("retry {}", event.retry_state.attempt));
    }

    fn on_custom_event(&self, event: &CustomEvent<'_>, run: &Run<'_>) {
        self.add(run, format_args!("custom {:?} {}", event.name, event.data));
    }
}
