//! Whether runs open and close as they should: exactly one end for each start, children inside
//! their parents.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::Recorded;
use crate::RunId;
use crate::runs::Part;

/// All that is wrong with a record, in its order.
pub(super) fn problems(history: &[Recorded]) -> Vec<String> {
    // What is emitted outside any run neither opens nor closes anything.
    let calls = history.iter().filter(|call| !call.run().id().is_nil());
    let mut parents = HashMap::new();
    let steps = calls.filter_map(|call| {
        let part = Part::of(&call.event())?;
        let mut info = call.run();
        for parent in info.ancestors() {
            if parents.insert(info.id(), parent.id()).is_some() {
                break;
            }
            info = parent;
        }
        Some(Step {
            run: call.run().id(),
            name: call.run().name(),
            tree: call.run().root_id(),
            seq: call.seq(),
            method: call.method(),
            part,
        })
    });
    let steps = steps.collect::<Vec<_>>();
    Check::new(&steps, &parents).run()
}

/// A recorded call, as far as it matters here.
#[derive(Clone, Copy, Debug)]
struct Step<'h> {
    run: RunId,
    name: &'h str,
    tree: RunId,
    seq: u64,
    method: &'static str,
    part: Part,
}

/// It, without the run.
impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (#{})", self.method, self.seq)
    }
}

/// The start and the end of a run, as positions in the record: of several, those emitted first.
#[derive(Clone, Copy, Debug, Default)]
struct Life {
    start: Option<usize>,
    end: Option<usize>,
}

struct Check<'h> {
    steps: &'h [Step<'h>],
    /// The parent of every run that has one, and of every run around that.
    parents: &'h HashMap<RunId, RunId>,
    lives: HashMap<RunId, Life>,
    problems: Vec<String>,
}

impl<'h> Check<'h> {
    fn new(steps: &'h [Step<'h>], parents: &'h HashMap<RunId, RunId>) -> Self {
        let mut lives: HashMap<RunId, Life> = HashMap::new();
        for (position, step) in steps.iter().enumerate() {
            let life = lives.entry(step.run).or_default();
            let bound = match step.part {
                Part::Opens(_) => &mut life.start,
                Part::Closes(_) => &mut life.end,
                Part::Inside => continue,
            };
            if bound.is_none_or(|known| step.seq < steps[known].seq) {
                *bound = Some(position);
            }
        }
        let problems = Vec::new();
        Self {
            steps,
            parents,
            lives,
            problems,
        }
    }

    fn run(mut self) -> Vec<String> {
        let (mut numbers, mut strangers) = (HashMap::new(), HashSet::new());
        for (position, step) in self.steps.iter().enumerate() {
            if let Some(other) = numbers.insert((step.tree, step.seq), step) {
                let same = format!("has the number of {other} of `{}`", other.name);
                self.report(step, &format!("{step} {same}"));
            }
            let life = self.lives[&step.run];
            match life.start {
                Some(start) => self.check_within(position, life, start),
                None if strangers.insert(step.run) => {
                    self.report(step, &format!("never started, but there is {step}"));
                }
                None => {}
            }
            self.check_end(position, life);
            self.check_parent(position);
        }
        for (position, step) in self.steps.iter().enumerate() {
            let life = self.lives[&step.run];
            if life.start == Some(position) && life.end.is_none() {
                self.report(step, &format!("started with {step} and never ended"));
            }
        }
        self.problems
    }

    /// Whether a step lies after the start of its run, which was recorded.
    fn check_within(&mut self, position: usize, life: Life, start: usize) {
        let (step, opening) = (&self.steps[position], &self.steps[start]);
        match step.part {
            Part::Opens(_) if position != start => {
                self.report(
                    step,
                    &format!("started with {opening}, and again with {step}"),
                );
            }
            Part::Closes(family)
                if life.end == Some(position) && opening.part != Part::Opens(family) =>
            {
                self.report(
                    step,
                    &format!("started with {opening}, but ended with {step}"),
                );
            }
            _ => {}
        }
        if step.seq < opening.seq {
            self.report(step, &format!("{step} lies before {opening}"));
        } else if position < start {
            self.report(step, &format!("{step} was called before {opening}"));
        }
    }

    /// Whether a step lies before the end of its run.
    fn check_end(&mut self, position: usize, life: Life) {
        let Some(end) = life.end else { return };
        let (step, closing) = (&self.steps[position], &self.steps[end]);
        match step.part {
            Part::Closes(_) if position != end => {
                self.report(
                    step,
                    &format!("ended with {closing}, and again with {step}"),
                );
            }
            Part::Inside if step.seq > closing.seq => {
                self.report(step, &format!("{step} lies after {closing}"));
            }
            _ => {}
        }
    }

    /// Whether a step lies between the start and the end of the run around its own: the next one
    /// around it that was recorded with its start.
    fn check_parent(&mut self, position: usize) {
        let step = &self.steps[position];
        let mut outer = self.parents.get(&step.run);
        let parent = loop {
            let Some(id) = outer else { return };
            match self.lives.get(id) {
                Some(&Life {
                    start: Some(start),
                    end,
                }) => break (start, end),
                _ => outer = self.parents.get(id),
            }
        };
        let (start, end) = parent;
        let opening = &self.steps[start];
        let around = |bound: &Step<'_>| format!("{bound} of `{}`, the run around it", bound.name);
        if step.seq < opening.seq {
            self.report(step, &format!("{step} lies before {}", around(opening)));
        } else if position < start {
            let late = format!("{step} was called before {}", around(opening));
            self.report(step, &late);
        }
        if let Some(closing) = end.map(|end| &self.steps[end])
            && step.seq > closing.seq
        {
            self.report(step, &format!("{step} lies after {}", around(closing)));
        }
    }

    fn report(&mut self, step: &Step<'_>, problem: &str) {
        let (name, run) = (step.name, step.run);
        self.problems.push(format!("`{name}` ({run}) {problem}"));
    }
}
