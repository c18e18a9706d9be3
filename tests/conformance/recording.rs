//! What LangChain does, as it was recorded: scenarios, each with a header and a line for every call
//! that reached a handler.

use serde_json::Value;

/// The recordings, by the name of their file.
const FILES: [(&str, &str); 2] = [
    ("match.jsonl", include_str!("match.jsonl")),
    ("beat.jsonl", include_str!("beat.jsonl")),
];

/// What a line is made of. One more would have to be compared, too.
const COLUMNS: [&str; 11] = [
    "scenario", "seq", "handler", "event", "run", "parent", "tags", "payload", "thread", "loop",
    "phase",
];

/// One scenario.
#[derive(Clone, Debug)]
pub(crate) struct Recording {
    pub(crate) file: &'static str,
    pub(crate) name: String,
    /// Whether the order of the lines is exact over all handlers, and not just within one handler
    /// and run.
    pub(crate) total: bool,
    /// What it shows.
    pub(crate) doc: String,
    /// What the program of the scenario returned.
    pub(crate) result: Value,
    /// What it observed beside the calls.
    pub(crate) obs: Value,
    pub(crate) lines: Vec<Value>,
}

impl Recording {
    /// All scenarios of all files.
    pub(crate) fn all() -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for (file, text) in FILES {
            for line in text.lines() {
                let line: Value = serde_json::from_str(line).expect("a line is JSON");
                let name = line["scenario"].as_str().expect("a line has a scenario");
                if line.get("seq").is_none() {
                    all.push(Self::headed(file, name, &line));
                    continue;
                }
                let scenario = all.last_mut().expect("a header comes first");
                assert_eq!(scenario.name, name, "a scenario is in one piece");
                assert_eq!(
                    line["seq"],
                    scenario.lines.len(),
                    "{name} has all its lines"
                );
                let mut columns = line.as_object().expect("a line is an object").keys();
                assert!(columns.all(|column| COLUMNS.contains(&&**column)), "{line}");
                scenario.lines.push(line);
            }
        }
        all
    }

    fn headed(file: &'static str, name: &str, header: &Value) -> Self {
        Self {
            file,
            name: name.to_owned(),
            total: match header["order"].as_str() {
                Some("total") => true,
                Some("per_run") => false,
                order => panic!("{name} has the order {order:?}"),
            },
            doc: header["doc"].as_str().expect("a doc").to_owned(),
            result: header["result"].clone(),
            obs: header["obs"].clone(),
            lines: Vec::new(),
        }
    }

    /// The scenario of this name.
    pub(crate) fn of(file: &str, name: &str) -> Self {
        let mut all = Self::all().into_iter();
        all.find(|recording| recording.file == file && recording.name == name)
            .unwrap_or_else(|| panic!("{file} has no scenario {name}"))
    }

    /// Whether it is one of a program without an event loop: nothing ran on the loop of the run.
    pub(crate) fn is_blocking(&self) -> bool {
        !self.lines.is_empty() && self.lines.iter().all(|line| line["loop"] != "same")
    }
}

/// What a line is called where it is spoken of: `3 s_req on_tool_end r1`, with `exit` behind it if
/// it is where the method is left.
pub(crate) fn address(line: &Value) -> String {
    let mut address = line["seq"].to_string();
    for column in ["handler", "event", "run", "phase"] {
        if let Some(text) = line[column].as_str() {
            address = address + " " + text;
        }
    }
    address
}
