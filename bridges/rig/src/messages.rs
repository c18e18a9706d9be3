//! Rig's messages, as handlers see them.

use callbacks::{Content, Message, ToolCall};
use rig_core::completion::CompletionRequest;
use rig_core::message::{self as rig, AssistantContent, ToolResultContent, UserContent};
use serde::Serialize;
use serde_json::{Value, json};

/// A message of rig's, and the messages that handlers see of it.
pub(crate) struct Shown {
    pub(crate) source: Source,
    pub(crate) messages: Vec<Message>,
}

/// Where a message is in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    History(usize),
    /// The documents, which are sent as a message after those of the system.
    Documents,
}

/// All that a model is sent, in order.
pub(crate) fn shown(request: &CompletionRequest) -> Vec<Shown> {
    let history = request.chat_history.iter().enumerate();
    let mut all: Vec<_> = history
        .map(|(index, message)| Shown {
            source: Source::History(index),
            messages: messages(message),
        })
        .collect();
    if let Some(documents) = request.normalized_documents() {
        let system = |message: &&rig::Message| matches!(message, rig::Message::System { .. });
        let after = request.chat_history.iter().take_while(system).count();
        let documents = Shown {
            source: Source::Documents,
            messages: messages(&documents),
        };
        all.insert(after, documents);
    }
    all
}

/// All that a model is sent.
pub(crate) fn of_request(request: &CompletionRequest) -> Vec<Message> {
    let shown = shown(request).into_iter();
    shown.flat_map(|shown| shown.messages).collect()
}

/// One message of rig's holds what is several here: the answers of tools.
pub(crate) fn messages(message: &rig::Message) -> Vec<Message> {
    match message {
        rig::Message::System { content } => vec![Message::system(&**content)],
        rig::Message::Assistant(message) => vec![assistant(&message.content)],
        rig::Message::User { content } => {
            let mut all = Vec::new();
            let parts = content.chunk_by(|one, other| !is_result(one) && !is_result(other));
            for part in parts {
                all.push(match part {
                    [UserContent::ToolResult(result)] => tool(result),
                    said => Message::human(contents(said, |said| match said {
                        UserContent::Text(text) => Some(text),
                        _ => None,
                    })),
                });
            }
            all
        }
    }
}

fn is_result(content: &UserContent) -> bool {
    matches!(content, UserContent::ToolResult(_))
}

fn tool(result: &rig::ToolResult) -> Message {
    let content = contents(&result.content, |content| match content {
        ToolResultContent::Text(text) => Some(text),
        _ => None,
    });
    let message = Message::tool(content, result.call.wire()).with_name(result.name.as_str());
    if result.is_error {
        message.with_extra("is_error", true)
    } else {
        message
    }
}

/// What a model said.
pub(crate) fn assistant(content: &[AssistantContent]) -> Message {
    let (mut said, mut reasoning, mut calls) = (Vec::new(), String::new(), Vec::new());
    for part in content {
        match part {
            AssistantContent::ToolCall(call) => calls.push(tool_call(call)),
            AssistantContent::Reasoning(part) => reasoning.push_str(&part.text),
            part => said.push(part),
        }
    }
    let content = contents(&said, |said| match said {
        AssistantContent::Text(text) => Some(text),
        _ => None,
    });
    let message = Message::ai(content).with_tool_calls(calls);
    if reasoning.is_empty() {
        message
    } else {
        message.with_extra("reasoning", reasoning)
    }
}

fn tool_call(call: &rig::ToolCall) -> ToolCall {
    let function = &call.function;
    let args = match &function.invalid_arguments {
        Some(text) => Value::from(&**text),
        None => function.arguments_value(),
    };
    ToolCall::new(function.name.as_str(), args).with_id(call.id.wire())
}

/// One text is text; all else are blocks, as rig writes them.
fn contents<T: Serialize>(parts: &[T], text: impl Fn(&T) -> Option<&rig::Text>) -> Content {
    match parts {
        [] => Content::default(),
        [part] if text(part).is_some() => {
            Content::Text(text(part).map(|text| text.text.clone()).unwrap_or_default())
        }
        parts => Content::Blocks(parts.iter().map(|part| json!(part)).collect()),
    }
}
