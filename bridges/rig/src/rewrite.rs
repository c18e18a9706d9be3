//! A request with the messages that handlers decided on.

use callbacks::{Content, Message, Role};
use rig_core::completion::CompletionRequest;
use rig_core::message::{
    self as rig, AssistantContent, AssistantMessage, CallId, ToolFunction, ToolName,
    ToolResultContent, UserContent,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::messages::{Shown, Source, shown};

/// The request with other messages. What they left as it was is sent as it was, with all that rig and the
/// provider know of it.
pub(crate) fn rewrite(
    request: &CompletionRequest,
    mut messages: &[Message],
) -> Result<CompletionRequest, String> {
    let before = shown(request);
    let mut history: Vec<rig::Message> = Vec::new();
    let (mut documents, mut next) = (false, 0);
    while let Some(first) = messages.first() {
        let left = |(_, shown): &(usize, &Shown)| {
            !shown.messages.is_empty() && messages.starts_with(&shown.messages)
        };
        // Of those that look alike it is the one whose turn it is: they may differ in what is not shown.
        let before = || before.iter().enumerate();
        if let Some((at, shown)) = before().skip(next).chain(before().take(next)).find(left) {
            next = at + 1;
            match shown.source {
                Source::History(index) => history.extend(request.chat_history.get(index).cloned()),
                Source::Documents => documents = true,
            }
            messages = messages.split_at(shown.messages.len()).1;
        } else {
            let message = message(first, &history)?;
            // The answers to the calls of one turn are one message.
            match (history.last_mut(), message) {
                (Some(rig::Message::User { content }), rig::Message::User { content: more })
                    if content.iter().chain(&more).all(is_result) =>
                {
                    content.extend(more);
                }
                (_, message) => history.push(message),
            }
            messages = messages.split_at(1).1;
        }
    }
    let mut request = request.clone();
    request.chat_history = history;
    if !documents {
        request.documents.clear();
    }
    Ok(request)
}

fn is_result(content: &UserContent) -> bool {
    matches!(content, UserContent::ToolResult(_))
}

/// `history` is what comes before it.
fn message(message: &Message, history: &[rig::Message]) -> Result<rig::Message, String> {
    Ok(match &message.role {
        Role::System => rig::Message::system(message.text()),
        Role::Human => rig::Message::User {
            content: blocks(&message.content, UserContent::text)?,
        },
        Role::Ai => {
            let mut content = Vec::new();
            if let Some(reasoning) = message.extra.get("reasoning").and_then(Value::as_str) {
                content.push(AssistantContent::reasoning(reasoning));
            }
            let silent = message.content == Content::default() && !message.tool_calls.is_empty();
            if !silent {
                content.extend(blocks(&message.content, AssistantContent::text)?);
            }
            for call in &message.tool_calls {
                let id = call.id.as_deref().unwrap_or_default();
                let function = ToolFunction::new(tool_name(&call.name)?, call.args.clone());
                content.push(AssistantContent::ToolCall(rig::ToolCall::from_wire(
                    id, function,
                )));
            }
            rig::Message::Assistant(AssistantMessage::new(content))
        }
        Role::Tool => {
            let id = message.tool_call_id.as_deref().unwrap_or_default();
            let call = calls(history).find(|call| call.id.wire() == id);
            let name = match (&message.name, call) {
                (Some(name), _) => tool_name(name)?,
                (None, Some(call)) => call.function.name.clone(),
                (None, None) => {
                    return Err(format!(
                        "a handler wrote an answer of a tool, to `{id}`, which no message calls"
                    ));
                }
            };
            // The ids of rig's own are no text.
            let call = call.map_or_else(|| CallId::from_wire(id), |call| call.id.clone());
            let result = rig::ToolResult {
                call,
                name,
                content: blocks(&message.content, ToolResultContent::text)?,
                is_error: message.extra.get("is_error") == Some(&Value::Bool(true)),
            };
            rig::Message::tool_results(vec![result])
        }
        role => {
            return Err(format!(
                "a handler wrote a message by `{}`, which rig has no role for",
                role.as_str()
            ));
        }
    })
}

fn calls(history: &[rig::Message]) -> impl Iterator<Item = &rig::ToolCall> {
    let said = history.iter().rev().filter_map(|message| match message {
        rig::Message::Assistant(message) => Some(message),
        _ => None,
    });
    said.flat_map(AssistantMessage::tool_calls)
}

fn tool_name(name: &str) -> Result<ToolName, String> {
    ToolName::new(name).map_err(|_| "a handler wrote a call of a tool without a name".to_owned())
}

fn blocks<T: DeserializeOwned>(
    content: &Content,
    text: impl Fn(String) -> T,
) -> Result<Vec<T>, String> {
    match content {
        Content::Text(said) => Ok(vec![text(said.clone())]),
        Content::Blocks(blocks) => blocks
            .iter()
            .map(|block| match block {
                Value::String(said) => Ok(text(said.clone())),
                block => serde_json::from_value(block.clone()).map_err(|error| {
                    format!("a handler wrote a content block that rig has not: {error}")
                }),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use callbacks::ToolCall;
    use rig_core::message::StopReason;
    use serde_json::json;

    use super::*;
    use crate::messages::of_request;

    /// Some providers want the answers to the calls of one turn in one message.
    #[test]
    fn answers_of_tools_are_one_message() {
        let request = CompletionRequest::new("How is Rome?");
        let mut messages = of_request(&request);
        let calls = ["a", "b"].map(|id| ToolCall::new("weather", json!({})).with_id(id));
        messages.extend([
            Message::ai("").with_tool_calls(calls),
            Message::tool("sunny", "a"),
            Message::tool("rainy", "b").with_extra("is_error", true),
            Message::human("Why?"),
        ]);
        let rewritten = rewrite(&request, &messages).unwrap();
        assert_eq!(rewritten.chat_history.len(), 4);
        let rig::Message::User { content } = &rewritten.chat_history[2] else {
            panic!("{:?}", rewritten.chat_history);
        };
        let [UserContent::ToolResult(one), UserContent::ToolResult(other)] = &**content else {
            panic!("{content:?}");
        };
        assert_eq!((one.name.as_str(), one.is_error), ("weather", false));
        assert_eq!((other.call.wire().as_ref(), other.is_error), ("b", true));
        // As handlers see it, it is what they wrote, and the tool's name.
        let mut seen = of_request(&rewritten);
        for message in &mut seen {
            message.name = None;
        }
        assert_eq!(seen, messages);
        // What is seen is sent as it is.
        let again = rewrite(&rewritten, &of_request(&rewritten)).unwrap();
        assert_eq!(again.chat_history, rewritten.chat_history);
    }

    /// What a provider needs back, such as a signature, is not shown.
    #[test]
    fn messages_that_look_alike_are_sent_each_as_it_was() {
        let said = |stop| {
            let mut said = AssistantMessage::new(vec![AssistantContent::text("Done.")]);
            said.stop = Some(stop);
            rig::Message::Assistant(said)
        };
        let history = [
            rig::Message::system("Be nice."),
            said(StopReason::Stop),
            rig::Message::user("Again."),
            said(StopReason::Length),
        ];
        let request = CompletionRequest::new("Once more.").messages(history.clone());
        let mut messages = of_request(&request);
        assert_eq!(messages[1], messages[3]);
        messages[0].content = "Be brief.".into();
        let rewritten = rewrite(&request, &messages).unwrap();
        assert_eq!(rewritten.chat_history[1..4], history[1..]);
    }

    /// An id that rig made up is not the provider's, though it looks the same.
    #[test]
    fn ids_that_rig_made_up_stay_its_own() {
        let id = CallId::from_wire("");
        let name = ToolName::new("weather").unwrap();
        let function = ToolFunction::new(name.clone(), json!({}));
        let call = AssistantContent::ToolCall(rig::ToolCall::new(id.clone(), function));
        let request = CompletionRequest::new("And Oslo?").messages([
            rig::Message::Assistant(AssistantMessage::new(vec![call])),
            rig::Message::tool_result(id.clone(), name, "sunny"),
        ]);
        let mut messages = of_request(&request);
        messages[1].content = "rainy".into();
        let rewritten = rewrite(&request, &messages).unwrap();
        let rig::Message::User { content } = &rewritten.chat_history[1] else {
            panic!("{:?}", rewritten.chat_history);
        };
        let [UserContent::ToolResult(result)] = &**content else {
            panic!("{content:?}");
        };
        assert_eq!(result.call, id);
        assert_eq!(result.content, [ToolResultContent::text("rainy")]);
    }
}
