//! What is different here from what LangChain does: declared where the scenario is described, each
//! difference with its reason. A difference that does not fit the recording, or makes none, fails.

use serde_json::{Value, json};

use crate::normal::remove;
use crate::recording::{Recording, address};

/// One difference, and the rule that makes it.
#[derive(Clone, Debug)]
pub(crate) struct Difference {
    pub(crate) why: &'static str,
    pub(crate) change: Change,
}

/// Lines are given by their [`address`] in the recording.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// There is one more line, after another.
    Added { after: &'static str, line: Value },
    /// There is no such line.
    Removed(&'static str),
    /// The line is elsewhere: after another.
    Moved {
        line: &'static str,
        after: &'static str,
    },
    /// A column, by its JSON pointer, has another value.
    Changed {
        line: &'static str,
        column: &'static str,
        from: Value,
        to: Value,
    },
    /// A column, by its JSON pointer, is not there.
    Without {
        line: &'static str,
        column: &'static str,
    },
    /// The program returns another value.
    Result { from: Value, to: Value },
    /// The program observes another value, by its JSON pointer.
    Observed {
        what: &'static str,
        from: Value,
        to: Value,
    },
}

/// A call more, of which the rest is as in the other lines of its handler and run.
pub(crate) fn added(
    after: &'static str,
    (handler, event, run): (&str, &str, &str),
    payload: Value,
) -> Change {
    let mut line = json!({ "handler": handler, "event": event, "run": run });
    line["payload"] = payload;
    Change::Added { after, line }
}

/// A column, by its JSON pointer, has another value.
pub(crate) fn changed(line: &'static str, column: &'static str, from: Value, to: Value) -> Change {
    Change::Changed {
        line,
        column,
        from,
        to,
    }
}

/// The program observes another value, by its JSON pointer.
pub(crate) fn changed_obs(what: &'static str, from: Value, to: Value) -> Change {
    Change::Observed { what, from, to }
}

/// What a run says when its guard was dropped open.
pub(crate) fn dropped() -> Value {
    json!({ "args": [["dropped", "the run was dropped before it ended"]] })
}

/// What a run says when a run around it closed.
pub(crate) fn abandoned() -> Value {
    json!({ "args": [["abandoned", "the run was still open when the run around it closed"]] })
}

/// A recorded line, or one that was added, with the recorded one that it comes after.
struct Placed {
    after: usize,
    line: Value,
}

/// What is expected here: the recording, with the differences.
pub(crate) fn apply<'d>(
    recording: &Recording,
    differences: impl IntoIterator<Item = &'d Difference>,
) -> Recording {
    let mut expected = recording.clone();
    let lines = recording.lines.iter().cloned().enumerate();
    let mut lines: Vec<_> = lines.map(|(after, line)| Placed { after, line }).collect();
    for Difference { change, .. } in differences {
        match change {
            Change::Added { after, line } => {
                let line = completed(recording, line);
                insert(&mut lines, recording, after, line);
            }
            Change::Removed(line) => drop(take(&mut lines, line)),
            Change::Moved { line, after } => {
                let line = take(&mut lines, line);
                insert(&mut lines, recording, after, line);
            }
            Change::Changed {
                line,
                column,
                from,
                to,
            } => {
                let at = find(&lines, line);
                replace(&mut lines[at].line, column, from, to);
            }
            Change::Without { line, column } => {
                let at = find(&lines, line);
                let removed = remove(&mut lines[at].line, column);
                assert!(
                    removed.is_some(),
                    "a difference speaks of {column}, which is not recorded"
                );
            }
            Change::Result { from, to } => replace(&mut expected.result, "", from, to),
            Change::Observed { what, from, to } => replace(&mut expected.obs, what, from, to),
        }
    }
    expected.lines = lines.into_iter().map(|placed| placed.line).collect();
    expected
}

/// Where the line is among those that are left.
fn find(lines: &[Placed], line: &str) -> usize {
    let found = lines
        .iter()
        .position(|placed| address(&placed.line) == line);
    found.unwrap_or_else(|| panic!("a difference speaks of `{line}`, which is not recorded"))
}

fn take(lines: &mut Vec<Placed>, line: &str) -> Value {
    let at = find(lines, line);
    lines.remove(at).line
}

/// Puts it behind a recorded line, and behind what was put there before.
fn insert(lines: &mut Vec<Placed>, recording: &Recording, after: &str, line: Value) {
    let recorded = recording.lines.iter().map(address);
    let after = recorded.into_iter().position(|known| known == after);
    let after = after.expect("a line is added after a recorded one");
    let before = lines.iter().take_while(|placed| placed.after <= after);
    lines.insert(before.count(), Placed { after, line });
}

fn replace(value: &mut Value, column: &str, from: &Value, to: &Value) {
    let found = value.pointer_mut(column);
    let found =
        found.unwrap_or_else(|| panic!("a difference speaks of {column}, which is not recorded"));
    assert_eq!(
        found, from,
        "a difference speaks of another {column} than is recorded"
    );
    *found = to.clone();
}

/// A line that is added: the parent and the tags are those of its run, and where it is called is
/// where its handler is called.
fn completed(recording: &Recording, line: &Value) -> Value {
    let mut line = line.clone();
    let first = |column: &str| {
        let mut lines = recording.lines.iter();
        lines.find(|other| other[column] == line[column] && other.get("thread").is_some())
    };
    let run = first("run")
        .expect("a line is added to a recorded run")
        .clone();
    let handler = first("handler").unwrap_or(&run).clone();
    for (column, from) in [
        ("parent", &run),
        ("tags", &run),
        ("thread", &handler),
        ("loop", &handler),
    ] {
        line[column] = from[column].clone();
    }
    line
}
