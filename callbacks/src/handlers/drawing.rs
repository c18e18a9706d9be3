//! A run tree, drawn as text.

use std::fmt::{self, Write};
use std::time::Duration;

use super::console::{Style, in_line, styled};
use super::run_tree::{RunTree, TracedRun};
use crate::payload::TokenUsage;

/// Deeper than this, branches are not drawn: a line would be longer than any terminal.
const DEEPEST: usize = 32;

impl fmt::Display for RunTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&draw(self, false))
    }
}

/// One line for each run.
pub(super) fn draw(tree: &RunTree, colours: bool) -> String {
    let runs = tree.runs();
    // Whether another run of the same parent comes behind it.
    let mut is_last = vec![true; runs.len()];
    let mut has_later = vec![false; runs.len()];
    for (at, run) in runs.iter().enumerate().rev() {
        if let Some(later) = run.parent.and_then(|parent| has_later.get_mut(parent)) {
            is_last[at] = !std::mem::replace(later, true);
        }
    }
    let mut drawing = String::new();
    for at in in_depth(runs) {
        let run = &runs[at];
        let mut branches = Vec::new();
        let mut above = Some(at);
        while let Some(on) = above.filter(|&on| runs[on].parent.is_some()) {
            branches.push(match (on == at, is_last[on]) {
                (true, true) => "└─ ",
                (true, false) => "├─ ",
                (false, true) => "   ",
                (false, false) => "│  ",
            });
            above = runs[on].parent;
            if branches.len() == DEEPEST {
                break;
            }
        }
        branches.reverse();
        let branches = branches.concat();
        let _ = writeln!(
            drawing,
            "{}{}",
            styled(&branches, Style::Faint, colours),
            line(run, colours)
        );
    }
    drawing
}

/// The runs in the order in which a tree is drawn: what ran in a run stands right below it.
fn in_depth(runs: &[TracedRun]) -> Vec<usize> {
    let mut below = vec![Vec::new(); runs.len()];
    for (at, run) in runs.iter().enumerate().rev() {
        if let Some(parent) = run.parent.and_then(|parent| below.get_mut(parent)) {
            parent.push(at);
        }
    }
    let (mut order, mut next) = (Vec::with_capacity(runs.len()), vec![0]);
    while let Some(at) = next.pop() {
        order.push(at);
        next.append(&mut below[at]);
    }
    order
}

fn line(run: &TracedRun, colours: bool) -> String {
    let name = styled(&in_line(run.info.name()), Style::Name, colours);
    let mut line = format!("{name} ({})", run.info.kind());
    let facts = facts(run);
    if !facts.is_empty() {
        let facts = styled(&facts.join(", "), Style::Faint, colours);
        let _ = write!(line, " {facts}");
    }
    if let Some(error) = &run.error {
        let error = format!("{}: {}", error.kind, first_line(&error.message));
        let error = styled(&in_line(&error), Style::Error, colours);
        let _ = write!(line, ", {error}");
    }
    line
}

/// How long it took, and what it used.
pub(super) fn facts(run: &TracedRun) -> Vec<String> {
    let mut facts = Vec::new();
    facts.extend(run.duration().map(duration));
    facts.extend(usage(&run.usage));
    if let Some(first) = run.tokens.first() {
        let waited = first.duration_since(run.info.started_at());
        facts.push(format!(
            "first token after {}",
            duration(waited.unwrap_or_default())
        ));
    }
    facts
}

fn usage(usage: &TokenUsage) -> Option<String> {
    match (usage.input_tokens, usage.output_tokens, usage.total_tokens) {
        (Some(input), Some(output), _) => Some(format!("{input} + {output} tokens")),
        (None, Some(tokens), _) | (_, None, Some(tokens)) | (Some(tokens), None, None) => {
            Some(format!("{tokens} tokens"))
        }
        (None, None, None) => None,
    }
}

/// In the unit that leaves it short.
pub(super) fn duration(duration: Duration) -> String {
    match duration.as_millis() {
        0 => format!("{} µs", duration.as_micros()),
        1..1_000 => format!("{} ms", duration.as_millis()),
        _ => format!("{:.2} s", duration.as_secs_f64()),
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
