//! What a small agent works with: a model, an index and tools that need nothing from outside.

use callbacks::{Document, Message, Role, ToolCall};
use serde_json::{Value, json};

/// What a model sends, piece by piece.
#[derive(Clone, Debug)]
pub enum Delta {
    /// Of its answer.
    Word(&'static str),
    /// A tool to call.
    Call(ToolCall),
}

/// Searches the index.
///
/// # Errors
///
/// If that is locked.
pub fn find(query: &str) -> Result<Vec<Document>, &'static str> {
    if query.contains("vault") {
        return Err("the index is locked");
    }
    Ok(vec![Document::new("Tea needs water of 80 degrees.")])
}

/// Asks the model.
///
/// # Errors
///
/// If it has nothing to say to that.
pub fn reply(messages: &[Message]) -> Result<Vec<Delta>, &'static str> {
    let call =
        |id: &str, name: &str, args: Value| Delta::Call(ToolCall::new(name, args).with_id(id));
    let question = messages.get(1).map(Message::text).unwrap_or_default();
    let outputs = messages.iter().filter(|message| message.role == Role::Tool);
    Ok(match (&*question, outputs.count()) {
        ("Get tea for two.", 0) => vec![
            Delta::Word("Let me "),
            Delta::Word("see."),
            call("1", "stock", json!({ "of": "tea" })),
            call("2", "research", json!({ "question": "Which tea?" })),
        ],
        ("Get tea for two.", 2) => vec![
            call("3", "order", json!({ "cups": 1000 })),
            call("4", "pay", json!({ "cents": 480 })),
        ],
        ("Get tea for two.", _) => vec![Delta::Word("It is "), Delta::Word("on its way.")],
        ("Share it among nobody.", _) => vec![call("5", "share", json!({ "among": 0 }))],
        ("Which tea?", _) => vec![Delta::Word("Green.")],
        _ => return Err("the model is overloaded"),
    })
}

/// Calls a tool.
///
/// # Errors
///
/// If there is none of this name, or it did not answer at this attempt.
///
/// # Panics
///
/// If it has to share something among nobody.
pub fn call(name: &str, input: &Value, attempt: u32) -> Result<Value, &'static str> {
    match name {
        "stock" if attempt == 1 => Err("timed out"),
        "stock" => Ok(json!({ "green": 7, "black": 0 })),
        "order" => Ok(json!(format!("{} cups are ordered", input["cups"]))),
        "share" => Ok(json!(2 / input["among"].as_u64().unwrap_or(1))),
        _ => Err("there is no such tool"),
    }
}
