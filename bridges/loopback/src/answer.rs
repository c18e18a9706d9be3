//! A chat completion: whole, or as the chunks that it is streamed in.

use serde_json::{Map, Value, json};

/// What a model answers, with one choice or several.
///
/// Streamed, each token is a chunk. Before them there is one with the role, after them one with the finish
/// reason, and where the request asks for it one with the usage and no choice. The choices take turns,
/// chunk by chunk; so do the tool calls of one choice, after a chunk for each with its id and name.
///
/// ```
/// use callbacks_loopback::Answer;
///
/// let answer = Answer::new(["I", " look"])
///     .tool_call("call_1", "weather", [r#"{"city":"#, r#""Rome"}"#])
///     .tool_call("call_2", "time", ["{}"])
///     .choice(["So do", " I"])
///     .finish("length");
/// # let _ = answer;
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Answer {
    id: String,
    model: String,
    done: Vec<Choice>,
    /// What the methods are about.
    last: Choice,
    usage: Option<Value>,
    usage_with_finish: bool,
}

#[derive(Clone, Debug, Default)]
struct Choice {
    reasoning: Vec<String>,
    tokens: Vec<String>,
    calls: Vec<Call>,
    finish: Option<String>,
}

#[derive(Clone, Debug)]
struct Call {
    id: String,
    name: String,
    args: Vec<String>,
}

impl Answer {
    /// An answer of these tokens, by `gpt-4o-mini`, with the id `chatcmpl-1`.
    pub fn new(tokens: impl IntoIterator<Item: Into<String>>) -> Self {
        Self {
            id: "chatcmpl-1".to_owned(),
            model: "gpt-4o-mini".to_owned(),
            done: Vec::new(),
            last: Choice::new(tokens),
            usage: None,
            usage_with_finish: false,
        }
    }

    /// Another choice, of these tokens. What follows is about this one.
    pub fn choice(mut self, tokens: impl IntoIterator<Item: Into<String>>) -> Self {
        self.done
            .push(std::mem::replace(&mut self.last, Choice::new(tokens)));
        self
    }

    /// What the model thinks before it answers, token by token: `reasoning_content`, which several
    /// providers have in common.
    pub fn reasoning(mut self, tokens: impl IntoIterator<Item: Into<String>>) -> Self {
        self.last.reasoning = tokens.into_iter().map(Into::into).collect();
        self
    }

    /// A tool that the model wants called, with the JSON text of its arguments in pieces.
    pub fn tool_call(
        mut self,
        id: impl Into<String>,
        name: impl Into<String>,
        args: impl IntoIterator<Item: Into<String>>,
    ) -> Self {
        self.last.calls.push(Call {
            id: id.into(),
            name: name.into(),
            args: args.into_iter().map(Into::into).collect(),
        });
        self
    }

    /// Why the model stopped. Without this it is `tool_calls` if there are some, and else `stop`.
    pub fn finish(mut self, reason: impl Into<String>) -> Self {
        self.last.finish = Some(reason.into());
        self
    }

    /// The tokens used, as the provider has them.
    pub fn usage(mut self, usage: Value) -> Self {
        self.usage = Some(usage);
        self
    }

    /// Streams the usage with the finish reason, whether it was asked for or not, as some providers do.
    pub fn usage_with_finish(mut self) -> Self {
        self.usage_with_finish = true;
        self
    }

    /// The model that answers.
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.model = model.into();
        self
    }

    /// The answer's id.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    fn choices(&self) -> impl Iterator<Item = (usize, &Choice)> {
        self.done
            .iter()
            .chain(std::iter::once(&self.last))
            .enumerate()
    }

    /// As one JSON text.
    pub(crate) fn whole(&self) -> Value {
        let choices = self.choices().map(|(index, choice)| {
            json!({
                "index": index,
                "message": choice.message(),
                "logprobs": null,
                "finish_reason": choice.finish(),
            })
        });
        let choices: Vec<_> = choices.collect();
        let mut whole = self.envelope("chat.completion", &choices);
        if let Some(usage) = &self.usage {
            whole["usage"] = usage.clone();
        }
        whole
    }

    /// As chunks.
    pub(crate) fn chunks(&self, with_usage: bool) -> Vec<Value> {
        let apart = with_usage && !self.usage_with_finish;
        let chunks = take_turns(self.choices().map(|(index, choice)| {
            let deltas = choice
                .deltas()
                .into_iter()
                .map(|delta| (delta, Value::Null));
            let finish = (json!({}), json!(choice.finish()));
            let all = deltas.chain([finish]);
            all.map(|(delta, finish)| {
                json!({
                    "index": index,
                    "delta": delta,
                    "logprobs": null,
                    "finish_reason": finish,
                })
            })
            .collect()
        }));
        let mut chunks: Vec<_> = chunks
            .into_iter()
            .map(|choice| {
                let mut chunk = self.envelope("chat.completion.chunk", &[choice]);
                if apart {
                    chunk["usage"] = Value::Null;
                }
                chunk
            })
            .collect();
        if let Some(usage) = &self.usage {
            if apart {
                chunks.push(self.envelope("chat.completion.chunk", &[]));
            }
            if let Some(last) = chunks
                .last_mut()
                .filter(|_| apart || self.usage_with_finish)
            {
                last["usage"] = usage.clone();
            }
        }
        chunks
    }

    fn envelope(&self, object: &str, choices: &[Value]) -> Value {
        json!({
            "id": self.id,
            "object": object,
            "created": 1_700_000_000,
            "model": self.model,
            "choices": choices,
        })
    }
}

impl Choice {
    fn new(tokens: impl IntoIterator<Item: Into<String>>) -> Self {
        Self {
            tokens: tokens.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    fn finish(&self) -> &str {
        let default = if self.calls.is_empty() {
            "stop"
        } else {
            "tool_calls"
        };
        self.finish.as_deref().unwrap_or(default)
    }

    fn message(&self) -> Value {
        let mut message = Map::new();
        message.insert("role".to_owned(), json!("assistant"));
        let silent = self.tokens.is_empty() && !self.calls.is_empty();
        let content = (!silent).then(|| self.tokens.concat());
        message.insert("content".to_owned(), json!(content));
        if !self.reasoning.is_empty() {
            message.insert(
                "reasoning_content".to_owned(),
                json!(self.reasoning.concat()),
            );
        }
        if !self.calls.is_empty() {
            let calls = self.calls.iter().map(|call| {
                json!({
                    "id": call.id,
                    "type": "function",
                    "function": { "name": call.name, "arguments": call.args.concat() },
                })
            });
            message.insert("tool_calls".to_owned(), calls.collect());
        }
        Value::Object(message)
    }

    /// Up to the finish reason.
    fn deltas(&self) -> Vec<Value> {
        let mut deltas = vec![json!({ "role": "assistant", "content": "" })];
        let reasoning = self.reasoning.iter();
        deltas.extend(reasoning.map(|token| json!({ "reasoning_content": token })));
        deltas.extend(self.tokens.iter().map(|token| json!({ "content": token })));
        let calls = || self.calls.iter().enumerate();
        deltas.extend(calls().map(|(index, call)| {
            json!({ "tool_calls": [{
                "index": index,
                "id": call.id,
                "type": "function",
                "function": { "name": call.name, "arguments": "" },
            }] })
        }));
        deltas.extend(take_turns(calls().map(|(index, call)| {
            let pieces = call.args.iter().map(|piece| {
                json!({ "tool_calls": [{ "index": index, "function": { "arguments": piece } }] })
            });
            pieces.collect()
        })));
        deltas
    }
}

/// The first of each, the second of each, and so on.
fn take_turns(all: impl Iterator<Item = Vec<Value>>) -> Vec<Value> {
    let mut all: Vec<_> = all.map(Vec::into_iter).collect();
    let mut taken = Vec::new();
    loop {
        let before = taken.len();
        taken.extend(all.iter_mut().filter_map(Iterator::next));
        if taken.len() == before {
            return taken;
        }
    }
}
