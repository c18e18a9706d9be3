//! What holds in every scenario, whatever was recorded: a run that a handler saw start it sees close
//! exactly once, and what runs inside another run begins and closes inside it.

use serde_json::Value;

/// What does not hold.
pub(crate) fn broken(lines: &[Value]) -> Vec<String> {
    let mut broken = Vec::new();
    let entered = lines.iter().filter(|line| line.get("phase").is_none());
    let entered: Vec<_> = entered.filter(|line| line["run"].is_string()).collect();
    for start in entered.iter().filter(|line| is_start(line)) {
        let handler = |line: &&&Value| line["handler"] == start["handler"];
        let mut all = entered.iter().filter(handler);
        // Some handlers have no methods for closings.
        if !all.clone().any(|line| is_terminal(line)) {
            continue;
        }
        let at = |run: &Value, is: fn(&Value) -> bool| {
            let line = all.clone().position(|line| line["run"] == *run && is(line));
            line.map(i64::try_from).and_then(Result::ok)
        };
        let (run, parent) = (&start["run"], &start["parent"]);
        let (begin, end) = (at(run, is_start), at(run, is_terminal));
        let ends = all
            .clone()
            .filter(|line| line["run"] == *run && is_terminal(line));
        if ends.count() != 1 || end < begin {
            broken.push(format!(
                "{} sees {run} close once, after its start",
                start["handler"]
            ));
        }
        let (around, after) = (at(parent, is_start), at(parent, is_terminal));
        if all.any(|line| line["run"] == *parent) && (around > begin || after < end) {
            broken.push(format!("{} sees {run} inside {parent}", start["handler"]));
        }
    }
    broken
}

fn is_start(line: &Value) -> bool {
    event(line).ends_with("_start")
}

fn is_terminal(line: &Value) -> bool {
    event(line).ends_with("_end") || event(line).ends_with("_error")
}

fn event(line: &Value) -> &str {
    line["event"].as_str().unwrap_or_default()
}
