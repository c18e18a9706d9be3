//! A streamed answer put together: from its pieces to the result.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use serde_json::Value;

use super::{Chunk, Generation, LlmOutput, LlmResult, Message, Metadata, ToolCall, ToolCallChunk};

/// What has arrived of an answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Assembly {
    /// By their numbers, which are the provider's: they may be any.
    choices: BTreeMap<usize, Choice>,
    output: LlmOutput,
}

#[derive(Clone, Debug, Default)]
struct Choice {
    text: String,
    reasoning: String,
    /// In the order of their first pieces.
    tool_calls: Vec<Call>,
    finish_reason: Option<String>,
    info: Metadata,
}

#[derive(Clone, Debug, Default)]
struct Call {
    index: Option<usize>,
    id: Option<String>,
    name: String,
    /// JSON, as far as it has arrived.
    args: String,
    extra: Metadata,
}

impl Assembly {
    /// Whether nothing has arrived at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.choices.is_empty()
    }

    /// Takes in the next piece. Texts grow; of everything else, what comes later is right.
    pub(crate) fn add(&mut self, chunk: &Chunk) {
        let choice = self.choices.entry(chunk.choice).or_default();
        choice.text += &chunk.text;
        choice.reasoning += chunk.reasoning.as_deref().unwrap_or_default();
        for piece in &chunk.tool_calls {
            choice.call_of(piece).add(piece);
        }
        if let Some(usage) = &chunk.usage {
            self.output.token_usage.replace(usage);
        }
        for (key, value) in &chunk.extra {
            let field = match &**key {
                "finish_reason" => Some(&mut choice.finish_reason),
                "model" | "model_name" => Some(&mut self.output.model_name),
                "id" | "response_id" => Some(&mut self.output.response_id),
                _ => None,
            };
            match (field, value) {
                (Some(field), Value::String(value)) => *field = Some(value.clone()),
                // Providers write `null` for what they do not know yet.
                (Some(_), Value::Null) => {}
                _ => drop(choice.info.insert(key.clone(), value.clone())),
            }
        }
    }

    /// The result, as far as it has arrived.
    pub(crate) fn into_result(self) -> LlmResult {
        let choices = self.choices.into_values().map(Choice::into_generation);
        LlmResult::new(vec![choices.collect()]).with_llm_output(self.output)
    }
}

/// What the chunks of one answer make, as a [stream](crate::RunGuard::stream) puts it together.
///
/// ```
/// use callbacks::{Chunk, LlmResult};
///
/// let chunks = [Chunk::text("Be"), Chunk::text("cause").with_extra("finish_reason", "stop")];
/// let result: LlmResult = chunks.iter().collect();
/// assert_eq!(result.text(), "Because");
/// assert_eq!(result.generations[0][0].finish_reason.as_deref(), Some("stop"));
/// ```
impl<C: Borrow<Chunk>> FromIterator<C> for LlmResult {
    fn from_iter<I: IntoIterator<Item = C>>(chunks: I) -> Self {
        let mut assembly = Assembly::default();
        for chunk in chunks {
            assembly.add(chunk.borrow());
        }
        assembly.into_result()
    }
}

impl Choice {
    /// The call that this is a piece of.
    fn call_of(&mut self, piece: &ToolCallChunk) -> &mut Call {
        let same = |call: &Call| match (piece.index, filled(piece.id.as_ref())) {
            (Some(_), _) => call.index == piece.index,
            (None, Some(id)) => call.id.as_ref() == Some(id),
            (None, None) => true,
        };
        // A name comes once in a call. So this one is whole, and so was the one before.
        let named = |call: &Call| !call.name.is_empty() && filled(piece.name.as_ref()).is_some();
        let alone = piece.index.is_none() && filled(piece.id.as_ref()).is_none();
        let begins = alone && self.tool_calls.last().is_some_and(named);
        let at = self.tool_calls.iter().rposition(same).filter(|_| !begins);
        let at = at.unwrap_or_else(|| {
            self.tool_calls.push(Call::default());
            self.tool_calls.len() - 1
        });
        &mut self.tool_calls[at]
    }

    fn into_generation(mut self) -> Generation {
        self.tool_calls.sort_by_key(|call| call.index);
        let calls = self.tool_calls.into_iter().map(Call::into_tool_call);
        let message = Message::ai(&*self.text).with_tool_calls(calls);
        let message = if self.reasoning.is_empty() {
            message
        } else {
            message.with_extra("reasoning", self.reasoning)
        };
        Generation {
            text: self.text,
            message: Some(message),
            finish_reason: self.finish_reason,
            info: self.info,
        }
    }
}

impl Call {
    fn add(&mut self, piece: &ToolCallChunk) {
        self.index = self.index.or(piece.index);
        if let Some(id) = filled(piece.id.as_ref()) {
            self.id = Some(id.clone());
        }
        if let Some(name) = filled(piece.name.as_ref()) {
            self.name.clone_from(name);
        }
        self.args += piece.args.as_deref().unwrap_or_default();
        let extra = piece.extra.iter();
        self.extra
            .extend(extra.map(|(key, value)| (key.clone(), value.clone())));
    }

    fn into_tool_call(self) -> ToolCall {
        let args = match &*self.args {
            // Some providers write nothing where there are no arguments.
            "" => Value::Object(serde_json::Map::new()),
            // What was cut short, or never was JSON, is kept as it is.
            args => serde_json::from_str(args).unwrap_or_else(|_| args.into()),
        };
        ToolCall {
            id: self.id,
            name: self.name,
            args,
            extra: self.extra,
        }
    }
}

/// Some providers write an empty text for what only the first piece has.
fn filled(text: Option<&String>) -> Option<&String> {
    text.filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::payload::TokenUsage;

    fn assembled(chunks: impl IntoIterator<Item = Chunk>) -> LlmResult {
        chunks.into_iter().collect()
    }

    /// The tool calls that these pieces make, as JSON: id, name, arguments.
    fn tool_calls(pieces: impl IntoIterator<Item = ToolCallChunk>) -> Vec<Value> {
        let chunks = pieces
            .into_iter()
            .map(|piece| Chunk::text("").with_tool_calls([piece]));
        let result = assembled(chunks);
        let message = result.generations[0][0].message.as_ref().unwrap();
        let calls = message.tool_calls.iter();
        calls
            .map(|call| json!([call.id, call.name, call.args]))
            .collect()
    }

    fn piece() -> ToolCallChunk {
        ToolCallChunk::new()
    }

    #[test]
    fn nothing_is_no_choice() {
        assert!(Assembly::default().is_empty());
        assert_eq!(assembled([]), LlmResult::new(vec![vec![]]));
    }

    #[test]
    fn an_empty_piece_is_an_empty_text() {
        let mut assembly = Assembly::default();
        assembly.add(&Chunk::text(""));
        assert!(!assembly.is_empty());
        let generation = Generation::from_message(Message::ai(""));
        let result = LlmResult::new(vec![vec![generation]]);
        assert_eq!(assembly.into_result(), result);
    }

    #[test]
    fn choices_are_in_their_order_and_each_has_its_own() {
        let result = assembled([
            Chunk::text("c")
                .with_choice(usize::MAX)
                .with_extra("finish_reason", "length"),
            Chunk::text("a").with_reasoning("th"),
            Chunk::text("A").with_choice(1).with_extra("seed", 7),
            Chunk::text("b")
                .with_reasoning("ink")
                .with_extra("finish_reason", "stop"),
            Chunk::text("B").with_choice(1),
        ]);
        let ai = |text, reasoning: Option<&str>| {
            let message = Message::ai(text);
            Generation::from_message(match reasoning {
                Some(reasoning) => message.with_extra("reasoning", reasoning),
                None => message,
            })
        };
        let expected = vec![
            ai("ab", Some("think")).with_finish_reason("stop"),
            ai("AB", None).with_info("seed", 7),
            ai("c", None).with_finish_reason("length"),
        ];
        assert_eq!(result.generations, [expected]);
        assert_eq!(result.text(), "ab");
    }

    #[test]
    fn tool_calls_by_index() {
        let calls = tool_calls([
            piece().with_index(1).with_id("b").with_name("time"),
            piece().with_index(0).with_id("a").with_name("weather"),
            piece().with_index(0).with_args(r#"{"city":"#),
            piece().with_index(1).with_args("{}"),
            // not another call, and no other name
            piece().with_index(0).with_id("").with_name(""),
            piece().with_index(0).with_args(r#" "Rome"}"#),
        ]);
        let expected = [
            json!(["a", "weather", {"city": "Rome"}]),
            json!(["b", "time", {}]),
        ];
        assert_eq!(calls, expected);
    }

    #[test]
    fn tool_calls_by_id_or_the_last() {
        let calls = tool_calls([
            piece().with_args("[1"),
            piece().with_args("]"),
            piece().with_id("a").with_name("x").with_args("[2"),
            piece().with_args(",3"),
            piece().with_id("b").with_name("y").with_args("4"),
            piece().with_id("a").with_args("]"),
        ]);
        let expected = [
            json!([null, "", [1]]),
            json!(["a", "x", [2, 3]]),
            json!(["b", "y", 4]),
        ];
        assert_eq!(calls, expected);
    }

    #[test]
    fn tool_calls_that_come_whole() {
        let calls = tool_calls([
            piece().with_name("weather").with_args(r#"{"city":"Rome"}"#),
            piece().with_name("weather").with_args(r#"{"city":"#),
            // not another call
            piece().with_name("").with_args(r#""Oslo"}"#),
        ]);
        let expected = [
            json!([null, "weather", {"city": "Rome"}]),
            json!([null, "weather", {"city": "Oslo"}]),
        ];
        assert_eq!(calls, expected);
    }

    #[test]
    fn arguments_that_are_no_json_are_kept_as_text() {
        let calls = tool_calls([
            piece().with_index(0).with_args(r#"{"city": "Ro"#),
            piece().with_index(1),
        ]);
        assert_eq!(
            calls,
            [json!([null, "", r#"{"city": "Ro"#]), json!([null, "", {}])]
        );
    }

    #[test]
    fn what_else_a_tool_call_has_is_kept() {
        let first = piece()
            .with_extra("type", "function")
            .with_extra("signature", "x");
        let second = piece().with_extra("signature", "y");
        let result = assembled([Chunk::text("").with_tool_calls([first, second])]);
        let message = result.generations[0][0].message.as_ref().unwrap();
        let extra = json!({"type": "function", "signature": "y"});
        assert_eq!(json!(message.tool_calls[0].extra), extra);
    }

    #[test]
    fn usage_that_is_told_at_the_end() {
        // OpenAI
        let usage = TokenUsage::new()
            .with_input_tokens(11)
            .with_output_tokens(17)
            .with_total_tokens(28);
        let result = assembled([Chunk::text("a"), Chunk::text("").with_usage(usage.clone())]);
        assert_eq!(*result.usage(), usage);
    }

    #[test]
    fn usage_that_is_told_as_it_grows() {
        // Anthropic
        let start = TokenUsage::new()
            .with_input_tokens(25)
            .with_cache_read(20)
            .with_output_tokens(1);
        let result = assembled([
            Chunk::text("").with_usage(start),
            Chunk::text("a").with_usage(TokenUsage::new().with_output_tokens(9)),
            Chunk::text("").with_usage(TokenUsage::new().with_output_tokens(15)),
        ]);
        let expected = TokenUsage::new()
            .with_input_tokens(25)
            .with_cache_read(20)
            .with_output_tokens(15);
        assert_eq!(*result.usage(), expected);
    }

    #[test]
    fn what_else_was_said() {
        let result = assembled([
            Chunk::text("a")
                .with_extra("model", "small")
                .with_extra("id", "1")
                .with_extra("finish_reason", Value::Null)
                .with_extra("logprobs", json!([1])),
            Chunk::text("b")
                .with_extra("finish_reason", "stop")
                .with_extra("logprobs", json!([2])),
            // neither is a later text
            Chunk::text("")
                .with_extra("finish_reason", Value::Null)
                .with_extra("id", 7),
        ]);
        let output = LlmOutput::new()
            .with_model_name("small")
            .with_response_id("1");
        assert_eq!(result.llm_output, output);
        let generation = &result.generations[0][0];
        assert_eq!(generation.finish_reason.as_deref(), Some("stop"));
        assert_eq!(json!(generation.info), json!({"logprobs": [2], "id": 7}));

        let result = assembled([
            Chunk::text("").with_extra("model_name", "small"),
            Chunk::text("").with_extra("model_name", "small-2"),
            Chunk::text("").with_extra("response_id", "r"),
        ]);
        let output = LlmOutput::new()
            .with_model_name("small-2")
            .with_response_id("r");
        assert_eq!(result.llm_output, output);
    }
}
