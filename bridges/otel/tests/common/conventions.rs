//! What the JSON schemas of the conventions, v1.41.0, ask of content.
//!
//! They let a part be anything that has a type. Whoever reads a part goes by its type, so here each that
//! the schemas know has to be whole.

use serde_json::Value;

/// The parts: their types, and what must be there.
const PARTS: &[(&str, &[&str])] = &[
    ("text", &["content"]),
    ("reasoning", &["content"]),
    ("tool_call", &["name"]),
    ("tool_call_response", &["response"]),
    ("server_tool_call", &["name", "server_tool_call"]),
    ("server_tool_call_response", &["server_tool_call_response"]),
    ("blob", &["modality", "content"]),
    ("file", &["modality", "file_id"]),
    ("uri", &["modality", "uri"]),
];

/// Fields that are text, if they are there. (A `tool_call_response` may have anything.)
const TEXTS: &[&str] = &[
    "id",
    "name",
    "content",
    "modality",
    "mime_type",
    "file_id",
    "uri",
];

pub fn assert_input(messages: &Value) {
    for message in messages.as_array().expect("messages") {
        assert_message(message);
    }
}

pub fn assert_output(messages: &Value) {
    assert_input(messages);
    for message in messages.as_array().expect("messages") {
        assert!(message["finish_reason"].is_string(), "{message}");
    }
}

fn assert_message(message: &Value) {
    assert!(message["role"].is_string(), "{message}");
    let name = &message["name"];
    assert!(name.is_string() || name.is_null(), "{message}");
    for part in message["parts"].as_array().expect("parts") {
        let kind = part["type"].as_str().expect("a type");
        let Some((_, required)) = PARTS.iter().find(|(name, _)| *name == kind) else {
            continue;
        };
        for field in *required {
            assert!(part.get(field).is_some(), "{field} in {part}");
        }
        for field in TEXTS {
            let value = part.get(field).unwrap_or(&Value::Null);
            assert!(value.is_string() || value.is_null(), "{field} in {part}");
        }
    }
}

pub fn assert_tools(tools: &Value) {
    for tool in tools.as_array().expect("tools") {
        assert!(
            tool["type"].is_string() && tool["name"].is_string(),
            "{tool}"
        );
    }
}
