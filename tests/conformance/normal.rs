//! What is compared of a line: everything, but for what is left out here, each column with its
//! reason. It is done once, for what was recorded and for what is written here alike.

use serde_json::{Map, Value, json};

use crate::recording::Recording;

/// A column that is not compared.
pub(crate) struct LeftOut {
    /// Where it is, as a JSON pointer into the header or a line.
    pub(crate) column: &'static str,
    /// Whose lines it is left out of, all others' if that is empty.
    pub(crate) of: &'static [&'static str],
    pub(crate) why: &'static str,
}

pub(crate) const LEFT_OUT: [LeftOut; 8] = [
    LeftOut {
        column: "/payload/metadata_auto",
        of: &[],
        why: "what LangChain's runnables add to the metadata, recorded without the values",
    },
    LeftOut {
        column: "/payload/color",
        of: &[],
        why: "how LangChain's own handler is to print the event",
    },
    LeftOut {
        column: "/payload/defers_inputs",
        of: &[],
        why: "how LangChain's runnables stream",
    },
    LeftOut {
        column: "/payload/inputs",
        of: &["on_chain_end", "on_chain_error"],
        why: "LangChain's streaming runnables start with a placeholder and say at the end what it \
              stood for; here a run has its inputs when it starts",
    },
    LeftOut {
        column: "/payload/chunk/message",
        of: &[],
        why: "a chunk here is no message; its text is compared",
    },
    LeftOut {
        column: "/obs/start_took_90_to_150ms",
        of: &[],
        why: "the time on a clock proves nothing; the exits of the handlers are compared",
    },
    LeftOut {
        column: "/obs/same_loop_as_start",
        of: &[],
        why: "blocking runs make an event loop for each event; see `loop` of blocking recordings",
    },
    LeftOut {
        column: "/obs/start_loop_closed",
        of: &[],
        why: "see the one before",
    },
];

/// What a failure's line in LangChain's log begins with. Here failures are `tracing` events.
pub(crate) const LOG_PREFIX: &str = "WARNING:langchain_core.callbacks.manager:";

/// The recording, as it is compared.
pub(crate) fn recorded(mut recording: Recording) -> Recording {
    let blocking = recording.is_blocking();
    say_more(&mut recording.lines);
    if let Some(log) = recording.obs.get_mut("log").and_then(Value::as_array_mut) {
        for line in log {
            let text = line.as_str().unwrap_or_default();
            *line = text.strip_prefix(LOG_PREFIX).unwrap_or(text).into();
        }
    }
    normal(recording, blocking)
}

/// What was written here, as it is compared with what is expected.
pub(crate) fn written(written: Recording, expected: &Recording, blocking: bool) -> Recording {
    let mut written = normal(written, blocking);
    // LangChain's programs recorded the exits of those methods that do something, and those by an
    // exception; here all are written.
    written.lines.retain(|line| {
        let recorded = |other: &Value| {
            let columns = ["phase", "handler", "event"];
            columns.iter().all(|column| other[column] == line[column])
        };
        let by_exception = line["payload"]["raised"].is_array();
        line.get("phase").is_none() || by_exception || expected.lines.iter().any(recorded)
    });
    written
}

fn normal(mut recording: Recording, blocking: bool) -> Recording {
    let mut header = json!({ "obs": recording.obs });
    leave_out(&mut header, "");
    recording.obs = header["obs"].take();
    messages(&mut recording.result);
    for line in &mut recording.lines {
        let event = line["event"].as_str().unwrap_or_default().to_owned();
        leave_out(line, &event);
        messages(line);
        if blocking {
            // Here the scenario is emitted by async code, until there is a blocking flavour: its
            // handlers are called where they were recorded, but there is a loop.
            remove(line, "/loop");
        }
    }
    recording
}

fn leave_out(value: &mut Value, event: &str) {
    for left_out in &LEFT_OUT {
        if left_out.of.is_empty() || left_out.of.contains(&event) {
            remove(value, left_out.column);
        }
    }
}

/// Removes what a JSON pointer points to, and returns it.
pub(crate) fn remove(value: &mut Value, pointer: &str) -> Option<Value> {
    let (parent, key) = pointer.rsplit_once('/')?;
    value.pointer_mut(parent)?.as_object_mut()?.remove(key)
}

/// Makes one message of two that differ only in LangChain's Python: a part of a streamed message is
/// of a class of its own, and the last part has a mark.
fn messages(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(messages),
        Value::Object(fields) => {
            if fields
                .get("type")
                .is_some_and(|name| name == "AIMessageChunk")
            {
                fields.insert("type".to_owned(), "ai".into());
                fields.remove("last");
            }
            fields.values_mut().for_each(messages);
        }
        _ => {}
    }
}

/// LangChain says some things once, or in one of two ways; here they are said with each event.
fn say_more(lines: &mut [Value]) {
    let starts = lines.to_vec();
    for line in lines {
        let start = starts.iter().find(|start| {
            let event = start["event"].as_str().unwrap_or_default();
            event.ends_with("_start") && start["run"] == line["run"]
        });
        let Some(start) = start.filter(|_| line["run"].is_string()) else {
            continue;
        };
        // A custom event has no parent there.
        line["parent"] = start["parent"].clone();
        if line.get("phase").is_some() {
            continue;
        }
        let of_start = &start["payload"];
        let Some(payload) = line["payload"].as_object_mut() else {
            continue;
        };
        // The name and the metadata of a run go with its start alone, the name where it is not that
        // of what runs.
        let name = [&of_start["name"], &of_start["serialized"]["name"]];
        let name = name.into_iter().find(|name| name.is_string());
        or_insert(payload, "name", name.unwrap_or(&Value::Null));
        or_insert(payload, "metadata", &of_start["metadata"]);
        // A blocking run passes the token by name.
        if let Some(token) = payload.remove("token") {
            payload.insert("args".to_owned(), json!([token]));
        }
    }
}

fn or_insert(payload: &mut Map<String, Value>, key: &str, value: &Value) {
    payload.entry(key).or_insert_with(|| value.clone());
}
