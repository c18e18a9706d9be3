//! Whether what was written is what is expected, and where it is not.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::recording::Recording;

/// Where the two differ, to be read by a person; empty if they do not.
pub(crate) fn compare(expected: &Recording, written: &Recording) -> String {
    let mut all = section(
        "result",
        &[expected.result.to_string()],
        &[written.result.to_string()],
    );
    all += &section("obs", &entries(&expected.obs), &entries(&written.obs));
    if expected.total {
        let [expected, written] = [expected, written].map(|of| shown(&of.lines));
        return all + &section("calls", &expected, &written);
    }
    // Inside one handler and run the order is exact; over them there is none.
    let [mut expected, mut written] = [expected, written].map(|of| by_run(&of.lines));
    for (run, expected) in &mut expected {
        let written = written.remove(run).unwrap_or_default();
        all += &section(run, expected, &written);
    }
    for (run, written) in written {
        all += &section(&run, &[], &written);
    }
    all
}

/// The lines by handler and run.
fn by_run(lines: &[Value]) -> BTreeMap<String, Vec<String>> {
    let mut by_run: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for line in numbered(lines) {
        let run = format!(
            "calls of {} in {}",
            text(&line, "handler"),
            text(&line, "run")
        );
        by_run.entry(run).or_default().push(show(&line));
    }
    by_run
}

/// Which of two concurrent runs appears first is chance, so here they get numbers by what they are:
/// by what they begin with, and by the run that they are in.
fn numbered(lines: &[Value]) -> Vec<Value> {
    let mut runs: Vec<(&Value, String)> = Vec::new();
    for line in lines {
        if runs.iter().any(|(run, _)| *run == &line["run"]) {
            continue;
        }
        let parent = runs.iter().find(|(run, _)| *run == &line["parent"]);
        let parent = parent.map_or("", |(_, parent)| parent);
        let (event, tags, payload) = (&line["event"], &line["tags"], &line["payload"]);
        runs.push((&line["run"], format!("{parent} {event} {tags} {payload}")));
    }
    runs.sort_by(|(_, one), (_, other)| one.cmp(other));
    let number = |run: &Value| {
        let number = runs.iter().position(|(known, _)| *known == run);
        number.map_or(Value::Null, |number| format!("r{number}").into())
    };
    let mut lines = lines.to_vec();
    for line in &mut lines {
        for column in ["run", "parent"] {
            line[column] = number(&line[column]);
        }
    }
    lines
}

/// What differs, line by line, with what is the same around it.
fn section(what: &str, expected: &[String], written: &[String]) -> String {
    if expected == written {
        return String::new();
    }
    // The length of the longest common part of what follows.
    let mut common = vec![vec![0; written.len() + 1]; expected.len() + 1];
    for one in (0..expected.len()).rev() {
        for other in (0..written.len()).rev() {
            common[one][other] = if expected[one] == written[other] {
                common[one + 1][other + 1] + 1
            } else {
                common[one + 1][other].max(common[one][other + 1])
            };
        }
    }
    let mut text = vec![format!("\n{what} (-: expected, +: here)")];
    let (mut one, mut other) = (0, 0);
    while one < expected.len() || other < written.len() {
        let (mark, line) = match (expected.get(one), written.get(other)) {
            (Some(line), Some(same)) if line == same => {
                (one, other) = (one + 1, other + 1);
                (' ', line)
            }
            (Some(line), None) => {
                one += 1;
                ('-', line)
            }
            (Some(line), Some(_)) if common[one + 1][other] >= common[one][other + 1] => {
                one += 1;
                ('-', line)
            }
            (_, Some(line)) => {
                other += 1;
                ('+', line)
            }
            (None, None) => break,
        };
        text.push(format!("{mark} {line}"));
    }
    text.join("\n") + "\n"
}

pub(crate) fn shown(lines: &[Value]) -> Vec<String> {
    lines.iter().map(show).collect()
}

fn entries(of: &Value) -> Vec<String> {
    let entries = of.as_object().into_iter().flatten();
    entries
        .map(|(key, value)| format!("{key}: {value}"))
        .collect()
}

fn show(line: &Value) -> String {
    let [handler, event, run, parent, thread, on] =
        ["handler", "event", "run", "parent", "thread", "loop"].map(|column| text(line, column));
    let exit = if line["phase"] == "exit" { " exit" } else { "" };
    let (tags, payload) = (&line["tags"], &line["payload"]);
    format!(
        "{handler} {event}{exit} {run} in {parent}, thread {thread}, loop {on}, {tags} {payload}"
    )
}

fn text<'l>(line: &'l Value, column: &str) -> &'l str {
    line[column].as_str().unwrap_or("-")
}
