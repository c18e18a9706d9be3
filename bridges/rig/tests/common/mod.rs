//! An agent with tools, over a server on loopback that plays the model.

#![allow(dead_code, reason = "each test needs some of it")]

use std::time::Duration;

use callbacks::Callbacks;
use callbacks::events::AnyEvent;
use callbacks::testing::{Recorded, Recorder};
use callbacks_loopback::{Answer, Reply, Request, Server};
use futures_util::StreamExt;
use rig_agent::agent::{MultiTurnStreamItem, PromptResponse};
use rig_agent::completion::PromptError;
use rig_agent::tool::{DynamicTool, ToolExecutionError, ToolOutput, ToolSet};
use rig_agent::{Agent, AgentBuilder};
use rig_core::driver::Model;
use rig_core::message::ToolName;
use rig_core::providers::openai::OpenAIConfig;
use rig_core::providers::openai::wire::Chat;
use rig_core::vector_store::request::{Filter, VectorSearchRequest};
use rig_core::vector_store::{
    VectorSearchIdResult, VectorSearchResult, VectorStoreError, VectorStoreIndex,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub(crate) const ANSWER: &str = "Sunny at noon.";

pub(crate) fn usage(input: u64, output: u64) -> Value {
    json!({ "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output })
}

/// Wants two tools at first, and then answers.
pub(crate) fn wants_tools() -> Answer {
    Answer::new(["Let me", " look."])
        .tool_call("call_1", "weather", [r#"{"city":"#, r#""Rome"}"#])
        .tool_call("call_2", "time", ["{}"])
        .usage(usage(9, 7))
}

pub(crate) fn answers() -> Answer {
    Answer::new(["Sunny", " at", " noon."])
        .id("chatcmpl-2")
        .usage(usage(30, 3))
}

/// Wants this tool at first, and then answers.
pub(crate) fn wants(tool: &str) -> impl Fn(&Request) -> Answer + Send + use<> {
    let call = Answer::new([""; 0]).tool_call("call_1", tool, ["{}"]);
    move |request| {
        if is_first(request) {
            call.clone()
        } else {
            answers()
        }
    }
}

/// Whether no tool has answered yet.
pub(crate) fn is_first(request: &Request) -> bool {
    let messages = request.body["messages"].as_array();
    messages.is_none_or(|messages| messages.iter().all(|message| message["role"] != "tool"))
}

pub(crate) fn script(request: &Request) -> Answer {
    if is_first(request) {
        wants_tools()
    } else {
        answers()
    }
}

pub(crate) fn serve<R: Into<Reply>>(script: impl FnMut(&Request) -> R + Send + 'static) -> Server {
    Server::answering(script).unwrap()
}

pub(crate) fn model(server: &Server) -> Model<Chat> {
    let mut config = OpenAIConfig::new("key");
    config.base_url = server.base_url();
    config.client().chat("gpt-4o-mini")
}

pub(crate) fn tool<F>(name: &str, call: impl Fn(Value) -> F + Send + Sync + 'static) -> DynamicTool
where
    F: Future<Output = Result<ToolOutput, ToolExecutionError>> + Send + 'static,
{
    let parameters = json!({ "type": "object", "properties": {} });
    let name = ToolName::new(name).unwrap();
    DynamicTool::new(name, "a tool", parameters, move |args| Box::pin(call(args)))
}

pub(crate) fn agent(server: &Server) -> Agent {
    agent_with(server, [])
}

pub(crate) fn agent_with(server: &Server, tools: impl IntoIterator<Item = DynamicTool>) -> Agent {
    let mut all = vec![
        tool("weather", async |args: Value| {
            let city = args["city"].as_str().unwrap_or_default();
            Ok(ToolOutput::text(format!("sunny in {city}")))
        }),
        tool("time", async |_| {
            Ok(ToolOutput::json(json!({ "hour": 12 })))
        }),
        tool("fails", async |_| {
            Err(ToolExecutionError::other("no network"))
        }),
        tool("panics", async |_| panic!("a tool that panics")),
    ];
    all.extend(tools);
    AgentBuilder::new(model(server))
        .name("host")
        .preamble("Be brief.")
        .default_max_turns(4)
        .dynamic_tools(all)
        .build()
}

/// Finds the tool `weather`, if it works.
pub(crate) struct Index {
    pub(crate) works: bool,
}

impl VectorStoreIndex for Index {
    type Filter = Filter<Value>;

    async fn top_n<T: DeserializeOwned + Send>(
        &self,
        _: VectorSearchRequest<Filter<Value>>,
    ) -> Result<Vec<VectorSearchResult<T>>, VectorStoreError> {
        Ok(Vec::new())
    }

    async fn top_n_ids(
        &self,
        _: VectorSearchRequest<Filter<Value>>,
    ) -> Result<Vec<VectorSearchIdResult>, VectorStoreError> {
        if !self.works {
            return Err(VectorStoreError::DatastoreError("no index".into()));
        }
        let (score, id) = (0.5, "weather".to_owned());
        Ok(vec![VectorSearchIdResult { score, id }])
    }
}

/// An agent that has an index choose its tools.
pub(crate) fn choosing_agent(server: &Server, index: Index) -> Agent {
    let weather = tool("weather", async |_| Ok(ToolOutput::text("sunny")));
    AgentBuilder::new(model(server))
        .name("host")
        .default_max_turns(4)
        .retrieved_tools(1, index, ToolSet::from_dynamic_tools(vec![weather]))
        .build()
}

/// Callbacks with a recorder.
pub(crate) fn recorded() -> (Recorder, Callbacks) {
    let recorder = Recorder::new();
    let callbacks = Callbacks::new().with(recorder.clone());
    (recorder, callbacks)
}

/// All that was started is over.
pub(crate) async fn settle(callbacks: &Callbacks) {
    let report = callbacks.flush(Duration::from_mins(1)).await;
    assert!(report.is_complete(), "{report:?}");
}

/// The items of a stream as text, without what differs from call to call, and what it made or failed with.
pub(crate) async fn read(
    mut stream: impl futures_util::Stream<Item = Result<MultiTurnStreamItem, PromptError>> + Unpin,
) -> (Vec<String>, Result<PromptResponse, PromptError>) {
    let (mut items, mut last) = (Vec::new(), None);
    while let Some(item) = stream.next().await {
        assert!(!matches!(last, Some(Err(_))), "more after an error");
        match item {
            Ok(item) => {
                items.push(json!(item).to_string());
                if let MultiTurnStreamItem::FinalResponse(response) = item {
                    last = Some(Ok(response));
                }
            }
            Err(error) => last = Some(Err(error)),
        }
    }
    (items, last.expect("an end"))
}

/// Each event in a line: the method, the run's name and its parent's.
pub(crate) fn lines(recorder: &Recorder) -> Vec<String> {
    let line = |event: &Recorded| {
        let run = event.run();
        let parent = run
            .parent()
            .map_or(String::new(), |parent| format!(" in {}", parent.name()));
        format!("{} {}{parent}", event.method(), run.name())
    };
    recorder.events().iter().map(line).collect()
}

/// What runs failed with.
pub(crate) fn failures(recorder: &Recorder) -> Vec<String> {
    recorder
        .events()
        .iter()
        .filter_map(|event| {
            let error = match event.event() {
                AnyEvent::LlmError(event) => event.error,
                AnyEvent::ToolError(event) => event.error,
                AnyEvent::ChainError(event) => event.error,
                AnyEvent::RetrieverError(event) => event.error,
                _ => return None,
            };
            Some(format!("{} {}: {error}", event.method(), error.kind))
        })
        .collect()
}
