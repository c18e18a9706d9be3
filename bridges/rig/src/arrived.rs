//! What has arrived of a streamed answer.

use std::collections::BTreeMap;

use callbacks::{Chunk, LlmResult, ToolCallChunk};

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
    /// By their part of the answer.
    calls: BTreeMap<usize, Call>,
}

/// What has arrived of the call of a tool.
struct Call {
    /// Which of the calls it is to handlers: the order in which they began, for a part that comes before others
    /// may begin after them.
    index: usize,
    name: String,
    args: String,
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
                let next = self.calls.len();
                let mut chunk = ToolCallChunk::new().with_args(args);
                let call = self.calls.entry(part).or_insert_with(|| {
                    chunk.name = Some(name.to_owned());
                    Call {
                        index: next,
                        name: name.to_owned(),
                        args: String::new(),
                    }
                });
                call.args.push_str(args);
                let chunk = chunk.with_index(call.index);
                Some(Chunk::default().with_tool_calls([chunk]))
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty() && self.reasoning.is_empty() && self.calls.is_empty()
    }

    /// As far as it came.
    pub(crate) fn result(&self) -> LlmResult {
        let mut whole = Chunk::text(&*self.text);
        if !self.reasoning.is_empty() {
            whole = whole.with_reasoning(&*self.reasoning);
        }
        // In the order of their parts, whichever began first.
        let calls = self.calls.values().enumerate().map(|(at, call)| {
            let chunk = ToolCallChunk::new().with_index(at);
            chunk.with_name(&*call.name).with_args(&*call.args)
        });
        LlmResult::from_iter([whole.with_tool_calls(calls)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As where a hook repairs a call that rig had held back.
    #[test]
    fn calls_keep_their_index_in_whichever_order_they_begin() {
        let mut arrived = Arrived::default();
        let mut add = |part, args| {
            let name = if part == 1 { "late" } else { "early" };
            let chunk = arrived.add(Piece::Call { part, name, args }).unwrap();
            let call = chunk.tool_calls.into_iter().next().unwrap();
            (call.index.unwrap(), call.name.is_some())
        };
        assert_eq!(add(2, "{\"a\""), (0, true));
        assert_eq!(add(1, "{"), (1, true));
        assert_eq!(add(2, ":1}"), (0, false));
        assert_eq!(add(1, "}"), (1, false));
        let result = arrived.result();
        let message = result.generations[0][0].message.as_ref().unwrap();
        let calls = message
            .tool_calls
            .iter()
            .map(|call| (&*call.name, call.args.to_string()));
        let expected = [("late", "{}".to_owned()), ("early", "{\"a\":1}".to_owned())];
        assert_eq!(calls.collect::<Vec<_>>(), expected);
    }
}
