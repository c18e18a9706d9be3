//! What goes to an endpoint and comes from it, as JSON. Endpoints differ: nothing is taken for granted that
//! can be done without, and a whole answer is read as a stream of one piece.

use std::collections::BTreeMap;

use callbacks::{Chunk, Message, Role, TokenUsage, ToolCallChunk};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::refusal::problem;
use super::{ChatError, Settings};

/// The body of a request.
pub(super) fn request(messages: &[Message], settings: &Settings) -> Value {
    let mut request = Map::new();
    let mut set = |key: &str, value: Value| drop(request.insert(key.to_owned(), value));
    set("model", json!(settings.model));
    set("messages", messages.iter().map(message).collect());
    if let Some(max_tokens) = settings.max_tokens {
        set("max_completion_tokens", json!(max_tokens));
    }
    if let Some(temperature) = settings.temperature {
        set("temperature", json!(temperature));
    }
    if let Some(choices) = settings.choices {
        set("n", json!(choices));
    }
    if !settings.tools.is_empty() {
        set("tools", json!(settings.tools));
    }
    if settings.streaming {
        set("stream", json!(true));
        set("stream_options", json!({ "include_usage": true }));
    }
    Value::Object(request)
}

fn message(message: &Message) -> Value {
    let role = match &message.role {
        Role::Human => "user",
        Role::Ai => "assistant",
        role => role.as_str(),
    };
    let mut said = json!({ "role": role, "content": message.content });
    if let Some(name) = &message.name {
        said["name"] = json!(name);
    }
    if let Some(id) = &message.tool_call_id {
        said["tool_call_id"] = json!(id);
    }
    if !message.tool_calls.is_empty() {
        let calls = message.tool_calls.iter().map(|call| {
            let args = match &call.args {
                // The model wrote no JSON: it is to see what it wrote.
                Value::String(args) => args.clone(),
                args => args.to_string(),
            };
            json!({
                "id": call.id,
                "type": "function",
                "function": { "name": call.name, "arguments": args },
            })
        });
        said["tool_calls"] = calls.collect();
    }
    said
}

/// An event of a stream, or a whole answer.
#[derive(Debug, Deserialize)]
pub(super) struct Piece {
    id: Option<String>,
    model: Option<String>,
    choices: Option<Vec<Choice>>,
    usage: Option<Usage>,
    error: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    index: Option<usize>,
    delta: Option<Delta>,
    /// A whole answer's. Some have both.
    message: Option<Delta>,
    finish_reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Delta {
    content: Option<String>,
    refusal: Option<String>,
    /// Several providers' name for what OpenAI keeps to itself.
    reasoning_content: Option<String>,
    /// Other providers' name for it. Some send both.
    reasoning: Option<String>,
    tool_calls: Option<Vec<Call>>,
}

#[derive(Debug, Deserialize)]
struct Call {
    index: Option<usize>,
    id: Option<String>,
    function: Option<Function>,
}

#[derive(Debug, Default, Deserialize)]
struct Function {
    name: Option<String>,
    arguments: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Usage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    prompt_tokens_details: Option<Details>,
    completion_tokens_details: Option<Details>,
}

#[derive(Debug, Deserialize)]
struct Details {
    #[serde(rename = "cached_tokens")]
    cached: Option<u64>,
    #[serde(rename = "cache_write_tokens")]
    cache_write: Option<u64>,
    #[serde(rename = "reasoning_tokens")]
    reasoning: Option<u64>,
}

/// What the pieces of an answer are as chunks.
#[derive(Debug, Default)]
pub(super) struct Reader {
    id: Option<String>,
    model: Option<String>,
    /// Of each choice that has begun, whether the model said why it stopped.
    finished: BTreeMap<usize, bool>,
}

impl Reader {
    /// Whether there is an answer at all.
    pub(super) fn has_begun(&self) -> bool {
        !self.finished.is_empty()
    }

    /// Whether that is all of the answer.
    pub(super) fn finished(&self) -> bool {
        self.has_begun() && self.finished.values().all(|finished| *finished)
    }

    pub(super) fn read(&mut self, piece: Piece) -> Result<Vec<Chunk>, ChatError> {
        if let Some(error) = piece.error {
            let said = problem(&error).unwrap_or_else(|| error.to_string());
            return Err(ChatError::BrokenOff(said));
        }
        let choices = piece.choices.unwrap_or_default().into_iter();
        let mut chunks: Vec<_> = choices.map(|choice| self.choice(choice)).collect();
        if let Some(usage) = piece.usage {
            // OpenAI sends it after the choices, others with the last of them.
            let last = chunks.pop().unwrap_or_default();
            chunks.push(last.with_usage(usage.into()));
        }
        // Each piece has these. Once is enough.
        if let Some(first) = chunks.first_mut() {
            say("id", &mut self.id, piece.id, first);
            say("model", &mut self.model, piece.model, first);
        }
        Ok(chunks)
    }

    fn choice(&mut self, choice: Choice) -> Chunk {
        let delta = choice.delta.or(choice.message).unwrap_or_default();
        let mut chunk = Chunk::text(delta.content.unwrap_or_default());
        chunk.choice = choice.index.unwrap_or_default();
        chunk.reasoning = delta.reasoning_content.or(delta.reasoning);
        chunk.tool_calls = delta
            .tool_calls
            .unwrap_or_default()
            .into_iter()
            .map(Into::into)
            .collect();
        if let Some(refusal) = delta.refusal {
            chunk.text += &refusal;
            chunk = chunk.with_extra("refusal", true);
        }
        let finished = self.finished.entry(chunk.choice).or_default();
        // Some write an empty one until there is one.
        if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty()) {
            *finished = true;
            chunk = chunk.with_extra("finish_reason", reason);
        }
        chunk
    }
}

/// Puts what is new into the chunk.
fn say(key: &str, said: &mut Option<String>, now: Option<String>, chunk: &mut Chunk) {
    if let Some(text) = now.filter(|now| said.as_ref() != Some(now)) {
        chunk.extra.insert(key.to_owned(), json!(text));
        *said = Some(text);
    }
}

impl From<Call> for ToolCallChunk {
    fn from(call: Call) -> Self {
        let function = call.function.unwrap_or_default();
        let mut chunk = Self::new();
        chunk.index = call.index;
        chunk.id = call.id;
        chunk.name = function.name;
        chunk.args = function.arguments;
        chunk
    }
}

impl From<Usage> for TokenUsage {
    fn from(usage: Usage) -> Self {
        let (read, written) = (usage.prompt_tokens_details, usage.completion_tokens_details);
        let mut tokens = Self::new();
        tokens.input_tokens = usage.prompt_tokens;
        tokens.output_tokens = usage.completion_tokens;
        tokens.total_tokens = usage.total_tokens;
        tokens.cache_read = read.as_ref().and_then(|read| read.cached);
        tokens.cache_write = read.and_then(|read| read.cache_write);
        tokens.reasoning = written.and_then(|written| written.reasoning);
        tokens
    }
}
