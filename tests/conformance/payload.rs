//! What an event says, in the shape of the recordings: LangChain's positional arguments are `args`,
//! its keyword arguments go by their names.

use callbacks::events::{
    AgentAction, AgentFinish, ChainEnd, ChainError, ChainStart, ChatModelStart, CustomEvent,
    LlmEnd, LlmError, LlmNewToken, LlmStart, RetrieverEnd, RetrieverError, RetrieverStart, Retry,
    Text, ToolEnd, ToolError, ToolStart,
};
use callbacks::{LlmResult, Message, ModelParams, RunError, Serialized};
use serde_json::{Value, json};

/// An event that can be written down.
pub(crate) trait Said {
    fn payload(&self) -> Value;
}

impl Said for LlmStart<'_> {
    fn payload(&self) -> Value {
        let payload = json!({ "args": [self.prompts] });
        called(payload, self.serialized, self.params)
    }
}

impl Said for ChatModelStart<'_> {
    fn payload(&self) -> Value {
        let messages = self.messages.iter();
        let messages = messages.map(|messages| messages.iter().map(message).collect());
        let payload = json!({ "args": [messages.collect::<Vec<Value>>()] });
        called(payload, self.serialized, self.params)
    }
}

impl Said for LlmNewToken<'_> {
    fn payload(&self) -> Value {
        let mut payload = json!({ "args": [self.token] });
        if let Some(chunk) = self.chunk {
            payload["chunk"] = json!({ "text": chunk.text });
        }
        payload
    }
}

impl Said for LlmEnd<'_> {
    fn payload(&self) -> Value {
        json!({ "args": [result(self.response)] })
    }
}

impl Said for LlmError<'_> {
    fn payload(&self) -> Value {
        let mut payload = failed(self.error);
        if let Some(response) = self.response {
            payload["response"] = result(response);
        }
        payload
    }
}

impl Said for ChainStart<'_> {
    fn payload(&self) -> Value {
        json!({ "args": [self.inputs], "serialized": self.serialized })
    }
}

impl Said for ChainEnd<'_> {
    fn payload(&self) -> Value {
        json!({ "args": [self.outputs] })
    }
}

impl Said for ChainError<'_> {
    fn payload(&self) -> Value {
        failed(self.error)
    }
}

impl Said for ToolStart<'_> {
    fn payload(&self) -> Value {
        let mut payload = json!({ "args": [self.input], "serialized": self.serialized });
        if let Some(inputs) = self.inputs {
            payload["inputs"] = inputs.clone();
        }
        answers(payload, self.tool_call_id)
    }
}

impl Said for ToolEnd<'_> {
    fn payload(&self) -> Value {
        answers(json!({ "args": [self.output] }), self.tool_call_id)
    }
}

impl Said for ToolError<'_> {
    fn payload(&self) -> Value {
        answers(failed(self.error), self.tool_call_id)
    }
}

impl Said for AgentAction<'_> {
    fn payload(&self) -> Value {
        json!({ "args": [self.action] })
    }
}

impl Said for AgentFinish<'_> {
    fn payload(&self) -> Value {
        json!({ "args": [self.finish] })
    }
}

impl Said for RetrieverStart<'_> {
    fn payload(&self) -> Value {
        json!({ "args": [self.query], "serialized": self.serialized })
    }
}

impl Said for RetrieverEnd<'_> {
    /// Documents are recorded by what is in them.
    fn payload(&self) -> Value {
        let documents = self.documents.iter().map(|document| &document.page_content);
        json!({ "args": [documents.collect::<Vec<_>>()] })
    }
}

impl Said for RetrieverError<'_> {
    fn payload(&self) -> Value {
        failed(self.error)
    }
}

impl Said for Text<'_> {
    fn payload(&self) -> Value {
        json!({ "args": [self.text] })
    }
}

impl Said for Retry<'_> {
    fn payload(&self) -> Value {
        json!({ "args": [self.retry_state] })
    }
}

impl Said for CustomEvent<'_> {
    fn payload(&self) -> Value {
        json!({ "args": [self.name, self.data] })
    }
}

/// How a model is called: what LangChain passes beside the prompts is in `extra` here.
fn called(
    mut payload: Value,
    serialized: Option<&Serialized>,
    params: Option<&ModelParams>,
) -> Value {
    payload["serialized"] = json!(serialized);
    for (key, value) in params.iter().flat_map(|params| &params.extra) {
        payload[key] = value.clone();
    }
    payload
}

fn answers(mut payload: Value, tool_call_id: Option<&str>) -> Value {
    if let Some(id) = tool_call_id {
        payload["tool_call_id"] = id.into();
    }
    payload
}

fn failed(error: &RunError) -> Value {
    json!({ "args": [raised(error)] })
}

/// An exception is recorded as its class, without the module, and its message. What this crate
/// itself closes a run with is no error of anybody's, and has a kind.
pub(crate) fn raised(error: &RunError) -> Value {
    let class = match error.type_name.rsplit("::").next() {
        None | Some("") => error.kind.as_str(),
        Some(class) => class,
    };
    json!([class, error.message])
}

pub(crate) fn message(message: &Message) -> Value {
    json!({ "type": message.role, "content": message.content })
}

pub(crate) fn result(result: &LlmResult) -> Value {
    let mut value = json!(result);
    let generations = value["generations"].as_array_mut().into_iter().flatten();
    let generations = generations.filter_map(Value::as_array_mut).flatten();
    let written = result.generations.iter().flatten();
    for (value, generation) in generations.zip(written) {
        if let Some(of) = &generation.message {
            value["message"] = message(of);
        }
    }
    value
}
