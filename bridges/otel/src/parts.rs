//! The parts of a message, and what they are in providers' words.

use serde_json::{Map, Value, json};

pub(crate) fn text(text: &str) -> Value {
    json!({"type": "text", "content": text})
}

pub(crate) fn tool_call(id: Option<&str>, name: &str, arguments: &Value) -> Value {
    let mut part = json!({"type": "tool_call", "name": name, "arguments": arguments});
    if let Some(id) = id {
        part["id"] = id.into();
    }
    part
}

pub(crate) fn tool_response(id: Option<&str>, response: &Value) -> Value {
    let mut part = json!({"type": "tool_call_response", "response": response});
    if let Some(id) = id {
        part["id"] = id.into();
    }
    part
}

/// A block of content. One that the conventions have no part for stays as it is: all they ask of other
/// parts is a type. Where that is one of theirs, and the rest is not, or there is none, it is wrapped.
pub(crate) fn of_block(block: &Value) -> Value {
    if let Some(said) = block.as_str() {
        return text(said);
    }
    known(block).unwrap_or_else(|| {
        if is_part(block) {
            block.clone()
        } else {
            json!({"type": "unknown", "content": block})
        }
    })
}

fn is_part(block: &Value) -> bool {
    let text = |key: &str| block[key].is_string();
    let text_if_any = |key: &str| block[key].is_string() || block[key].is_null();
    let typed = |key: &str| block[key]["type"].is_string();
    let is_whole = match block["type"].as_str() {
        Some("text" | "reasoning") => text("content"),
        Some("tool_call") => text("name"),
        Some("tool_call_response") => !block["response"].is_null(),
        Some("server_tool_call") => text("name") && typed("server_tool_call"),
        Some("server_tool_call_response") => typed("server_tool_call_response"),
        Some("blob") => text("modality") && text("content"),
        Some("file") => text("modality") && text("file_id"),
        Some("uri") => text("modality") && text("uri"),
        Some(_) => return true,
        None => false,
    };
    is_whole && text_if_any("id") && text_if_any("mime_type")
}

fn known(block: &Value) -> Option<Value> {
    let of = |key: &str| block[key].as_str();
    match of("type")? {
        "text" | "input_text" | "output_text" => Some(text(of("text")?)),
        "reasoning" | "thinking" => {
            let content = of("reasoning").or_else(|| of("thinking"))?;
            Some(json!({"type": "reasoning", "content": content}))
        }
        "tool_use" => {
            let arguments = &block["input"];
            Some(tool_call(of("id"), of("name")?, arguments))
        }
        "tool_result" => {
            // Nothing is an answer, too, which `null` could not say in an event.
            let response = block.get("content").filter(|content| !content.is_null());
            let response = response.cloned().unwrap_or_else(|| "".into());
            Some(tool_response(of("tool_use_id"), &response))
        }
        "image_url" => {
            let url = &block["image_url"];
            by_url("image", url.as_str().or_else(|| url["url"].as_str())?)
        }
        "image" => {
            let source = &block["source"];
            let of = |key: &str| source[key].as_str();
            match of("type")? {
                "base64" => Some(blob("image", of("media_type"), of("data")?)),
                "url" => by_url("image", of("url")?),
                "file" => {
                    Some(json!({"type": "file", "modality": "image", "file_id": of("file_id")?}))
                }
                _ => None,
            }
        }
        "input_audio" => {
            let audio = &block["input_audio"];
            let mime = audio["format"].as_str().map(|of| format!("audio/{of}"));
            Some(blob("audio", mime.as_deref(), audio["data"].as_str()?))
        }
        _ => None,
    }
}

/// What is in the URL itself, or where to find it.
fn by_url(modality: &str, url: &str) -> Option<Value> {
    match url.strip_prefix("data:") {
        Some(data) => {
            let (mime, content) = data.split_once(";base64,")?;
            Some(blob(modality, Some(mime), content))
        }
        None => Some(json!({"type": "uri", "modality": modality, "uri": url})),
    }
}

fn blob(modality: &str, mime: Option<&str>, content: &str) -> Value {
    let mut part = Map::new();
    part.insert("type".to_owned(), "blob".into());
    part.insert("modality".to_owned(), modality.into());
    part.insert("content".to_owned(), content.into());
    if let Some(mime) = mime {
        part.insert("mime_type".to_owned(), mime.into());
    }
    Value::Object(part)
}
