//! What has arrived of a streamed answer.

use std::collections::BTreeMap;

use callbacks::{Chunk, Generation, LlmResult, Message, ToolCall, ToolCallChunk};
use serde_json::Value;

/// A piece of an answer.
#[derive(Clone, Copy)]
pub(crate) enum Piece<'a> {
    Text(&'a str),
    Reasoning(&'a str),
    /// Of the arguments of the call that is this part of the answer.
    Call {
        part: usize,
        name: &'a str,
        args: &'a str,
    },
}

/// What has arrived. Rig has it, too, but tells it only to whoever reads the answer to its end.
#[derive(Default)]
pub(crate) struct Arrived {
    text: String,
    reasoning: String,
    /// By their part of the answer: names and the text of the arguments.
    calls: BTreeMap<usize, (String, String)>,
}

impl Arrived {
    /// Takes in a piece, and gives it back as a chunk, unless it is text alone.
    pub(crate) fn add(&mut self, piece: Piece<'_>) -> Option<Chunk> {
        match piece {
            Piece::Text(text) => {
                self.text.push_str(text);
                None
            }
            Piece::Reasoning(reasoning) => {
                self.reasoning.push_str(reasoning);
                Some(Chunk::default().with_reasoning(reasoning))
            }
            Piece::Call { part, name, args } => {
                let index = self.calls.range(..part).count();
                let chunk = ToolCallChunk::new().with_index(index).with_args(args);
                let mut first = false;
                let call = self.calls.entry(part).or_insert_with(|| {
                    first = true;
                    (name.to_owned(), String::new())
                });
                call.1.push_str(args);
                let chunk = if first { chunk.with_name(name) } else { chunk };
                Some(Chunk::default().with_tool_calls([chunk]))
            }
        }
    }

    /// As far as it came.
    pub(crate) fn result(&self) -> LlmResult {
        let mut message = Message::ai(&*self.text);
        if !self.reasoning.is_empty() {
            message = message.with_extra("reasoning", &*self.reasoning);
        }
        let calls = self.calls.values().map(|(name, args)| {
            let whole = serde_json::from_str(args);
            // What broke off is no JSON.
            ToolCall::new(&**name, whole.unwrap_or_else(|_| Value::from(&**args)))
        });
        let generation = Generation::from_message(message.with_tool_calls(calls));
        LlmResult::new(vec![vec![generation]])
    }
}
