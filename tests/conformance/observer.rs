//! Handlers that write down every call, where it was entered and where it was left.

use std::fmt;

use callbacks::events::{
    AgentAction, AgentFinish, ChainEnd, ChainError, ChainStart, ChatModelStart, CustomEvent,
    LlmEnd, LlmError, LlmNewToken, LlmStart, RetrieverEnd, RetrieverError, RetrieverStart, Retry,
    Text, ToolEnd, ToolError, ToolStart,
};
use callbacks::{BoxFuture, Run, RunInfo, callback_handler};
use serde_json::{Value, json};

use crate::payload::Said;
use crate::scene::{Line, Scene};

/// What a handler of a scenario fails with: an exception's class and message.
#[derive(Clone, Debug)]
pub(crate) struct Boom(pub(crate) &'static str, pub(crate) &'static str);

impl fmt::Display for Boom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.1)
    }
}

impl std::error::Error for Boom {}

/// What a plain method does beside writing: it gets a copy of the line that was written.
pub(crate) type Act = Box<dyn Fn(Value) -> Result<(), Boom> + Send + Sync>;

/// What an async method does.
pub(crate) type AsyncAct = Box<dyn Fn(Value) -> BoxFuture<'static, Result<(), Boom>> + Send + Sync>;

/// What all handlers have in common.
pub(crate) struct Observer<A> {
    pub(crate) scene: Scene,
    pub(crate) name: &'static str,
    pub(crate) act: A,
}

impl<A> Observer<A> {
    fn enter(&self, event: &'static str, run: &Run<'_>, mut payload: Value) -> (Value, Inside<'_>) {
        payload["name"] = run.name().into();
        payload["metadata"] = json!(run.metadata());
        if run.kind().as_str() != "chain" && event == "on_chain_start" {
            payload["run_type"] = run.kind().as_str().into();
        }
        let columns = json!({ "handler": self.name, "event": event, "tags": run.tags() });
        let mut line = columns.clone();
        line["payload"] = payload;
        self.scene.stamp(&mut line);
        self.scene.write(Line {
            columns: line.clone(),
            run: Some(run.info().clone()),
        });
        let inside = Inside {
            scene: &self.scene,
            run: run.info().clone(),
            columns,
            outcome: Err(Boom("CancelledError", "")),
        };
        (line, inside)
    }
}

impl Observer<Act> {
    fn called(&self, event: &'static str, run: &Run<'_>, payload: Value) -> Result<(), Boom> {
        let (line, inside) = self.enter(event, run, payload);
        inside.leave((self.act)(line))
    }
}

impl Observer<AsyncAct> {
    /// It suspends in every call, so what does not wait for it is seen not to.
    async fn awaited(
        &self,
        event: &'static str,
        run: &Run<'_>,
        payload: Value,
    ) -> Result<(), Boom> {
        let (line, inside) = self.enter(event, run, payload);
        tokio::task::yield_now().await;
        inside.leave((self.act)(line).await)
    }
}

/// A method that is not left yet. One that is dropped where it waits was cancelled.
struct Inside<'a> {
    scene: &'a Scene,
    run: RunInfo,
    columns: Value,
    outcome: Result<(), Boom>,
}

impl Inside<'_> {
    fn leave(mut self, outcome: Result<(), Boom>) -> Result<(), Boom> {
        self.outcome.clone_from(&outcome);
        outcome
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let mut columns = self.columns.take();
        columns["phase"] = "exit".into();
        if let Err(Boom(class, message)) = self.outcome {
            columns["payload"] = json!({ "raised": [class, message] });
        }
        self.scene.write(Line {
            columns,
            run: Some(self.run.clone()),
        });
    }
}

/// Two handlers with a method for each event, a plain one and an async one.
macro_rules! handlers {
    ($plain:ident, $awaited:ident: $($method:ident $event:ident)*) => {
        pub(crate) struct $plain(pub(crate) Observer<Act>);

        #[callback_handler]
        impl $plain {
            $(fn $method(&self, event: &$event<'_>, run: &Run<'_>) -> Result<(), Boom> {
                self.0.called(stringify!($method), run, event.payload())
            })*
        }

        pub(crate) struct $awaited(pub(crate) Observer<AsyncAct>);

        #[callback_handler]
        impl $awaited {
            $(async fn $method(&self, event: &$event<'_>, run: &Run<'_>) -> Result<(), Boom> {
                self.0.awaited(stringify!($method), run, event.payload()).await
            })*
        }
    };
}

/// The same without a method for the start of a chat model, and with one.
macro_rules! with_and_without_chat {
    ($($method:ident $event:ident)*) => {
        handlers! { PlainText, AsyncText: $($method $event)* }
        handlers! { Plain, Async: on_chat_model_start ChatModelStart $($method $event)* }

        /// All methods that a handler can have.
        pub(crate) const METHODS: &[&str] = &["on_chat_model_start", $(stringify!($method)),*];
    };
}

with_and_without_chat! {
    on_llm_start LlmStart
    on_llm_new_token LlmNewToken
    on_llm_end LlmEnd
    on_llm_error LlmError
    on_chain_start ChainStart
    on_chain_end ChainEnd
    on_chain_error ChainError
    on_tool_start ToolStart
    on_tool_end ToolEnd
    on_tool_error ToolError
    on_agent_action AgentAction
    on_agent_finish AgentFinish
    on_retriever_start RetrieverStart
    on_retriever_end RetrieverEnd
    on_retriever_error RetrieverError
    on_text Text
    on_retry Retry
    on_custom_event CustomEvent
}

/// Nothing but writing.
pub(crate) fn nothing() -> Act {
    Box::new(|_| Ok(()))
}

/// Nothing but writing.
pub(crate) fn nothing_async() -> AsyncAct {
    Box::new(|_| Box::pin(async { Ok(()) }))
}
