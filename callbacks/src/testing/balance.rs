//! Whether runs open and close as they should: exactly one end for each start, children inside
//! their parents.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::Recorded;
use crate::RunId;
use crate::events::AnyEvent;

/// All that is wrong with a record, in its order.
pub(super) fn problems(history: &[Recorded]) -> Vec<String> {
    // What is emitted outside any run neither opens nor closes anything.
    let calls = history.iter().filter(|call| !call.run().id().is_nil());
    let mut parents = HashMap::new();
    let steps = calls.filter_map(|call| {
        let place = Place::of(&call.event())?;
        let mut info = call.run();
        while let Some(parent) = info.parent() {
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
            place,
        })
    });
    let steps = steps.collect::<Vec<_>>();
    Check::new(&steps, &parents).run()
}

/// What an event is to its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Opens(Family),
    Inside,
    Closes(Family),
}

/// The kinds of runs that have a start and an end of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Llm,
    Chain,
    Tool,
    Retriever,
}

impl Place {
    /// `None` for what is asked before a run starts.
    fn of(event: &AnyEvent<'_>) -> Option<Self> {
        Some(match event {
            AnyEvent::LlmStart(_) | AnyEvent::ChatModelStart(_) => Self::Opens(Family::Llm),
            AnyEvent::ChainStart(_) => Self::Opens(Family::Chain),
            AnyEvent::ToolStart(_) => Self::Opens(Family::Tool),
            AnyEvent::RetrieverStart(_) => Self::Opens(Family::Retriever),
            AnyEvent::LlmEnd(_) | AnyEvent::LlmError(_) => Self::Closes(Family::Llm),
            AnyEvent::ChainEnd(_) | AnyEvent::ChainError(_) => Self::Closes(Family::Chain),
            AnyEvent::ToolEnd(_) | AnyEvent::ToolError(_) => Self::Closes(Family::Tool),
            AnyEvent::RetrieverEnd(_) | AnyEvent::RetrieverError(_) => {
                Self::Closes(Family::Retriever)
            }
            AnyEvent::LlmNewToken(_)
            | AnyEvent::AgentAction(_)
            | AnyEvent::AgentFinish(_)
            | AnyEvent::Text(_)
            | AnyEvent::Retry(_)
            | AnyEvent::CustomEvent(_) => Self::Inside,
            AnyEvent::ToolRequest(_) | AnyEvent::LlmRequest(_) => return None,
        })
    }
}

/// A recorded call, as far as it matters here.
#[derive(Clone, Copy, Debug)]
struct Step<'h> {
    run: RunId,
    name: &'h str,
    tree: RunId,
    seq: u64,
    method: &'static str,
    place: Place,
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
            let bound = match step.place {
                Place::Opens(_) => &mut life.start,
                Place::Closes(_) => &mut life.end,
                Place::Inside => continue,
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
        match step.place {
            Place::Opens(_) if position != start => {
                self.report(
                    step,
                    &format!("started with {opening}, and again with {step}"),
                );
            }
            Place::Closes(family)
                if life.end == Some(position) && opening.place != Place::Opens(family) =>
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
        match step.place {
            Place::Closes(_) if position != end => {
                self.report(
                    step,
                    &format!("ended with {closing}, and again with {step}"),
                );
            }
            Place::Inside if step.seq > closing.seq => {
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

/// Histories that this crate never makes, each wrong in one way.
#[cfg(test)]
mod tests {
    use super::*;

    /// A run by its name: `Tool` runs in `Model`, that in `Chain`; `Other` is a tree of its own.
    fn run(name: &str) -> (RunId, RunId) {
        let (run, tree): (u128, u128) = match name {
            "Chain" => (1, 1),
            "Model" => (2, 1),
            "Tool" => (3, 1),
            "Other" => (4, 4),
            _ => panic!("no run is called {name}"),
        };
        (run.into(), tree.into())
    }

    fn place(method: &str) -> Place {
        let family = match method {
            _ if method.contains("_chain_") => Family::Chain,
            _ if method.contains("_tool_") => Family::Tool,
            _ if method.contains("_retriever_") => Family::Retriever,
            _ => Family::Llm,
        };
        match method {
            _ if method.ends_with("_start") => Place::Opens(family),
            _ if method.ends_with("_end") || method.ends_with("_error") => Place::Closes(family),
            _ => Place::Inside,
        }
    }

    /// What is wrong with calls of these numbers, runs and methods, without the ids of the runs.
    fn problems(history: &[(u64, &'static str, &'static str)]) -> Vec<String> {
        let steps = history.iter().map(|&(seq, name, method)| {
            let (run, tree) = run(name);
            let place = place(method);
            Step {
                run,
                name,
                tree,
                seq,
                method,
                place,
            }
        });
        let steps = steps.collect::<Vec<_>>();
        let inside = |child, parent| (run(child).0, run(parent).0);
        let parents = HashMap::from([inside("Tool", "Model"), inside("Model", "Chain")]);
        let problems = Check::new(&steps, &parents).run().into_iter();
        let without_id = |problem: String| match (problem.find(" ("), problem.find(") ")) {
            (Some(from), Some(to)) => format!("{}{}", &problem[..from], &problem[to + 1..]),
            _ => problem,
        };
        problems.map(without_id).collect()
    }

    #[test]
    fn a_balanced_history_has_no_problems() {
        let none: [&str; 0] = [];
        assert_eq!(problems(&[]), none);
        let history = [
            (1, "Chain", "on_chain_start"),
            (1, "Other", "on_retriever_start"),
            (2, "Chain", "on_text"),
            (3, "Model", "on_chat_model_start"),
            (4, "Model", "on_llm_new_token"),
            (2, "Other", "on_retriever_error"),
            (6, "Tool", "on_tool_start"),
            (7, "Tool", "on_tool_end"),
            (8, "Model", "on_llm_error"),
            (9, "Chain", "on_chain_end"),
        ];
        assert_eq!(problems(&history), none);
        // called late, as async and inline methods may be where emissions overlap
        let history = [
            (1, "Model", "on_llm_start"),
            (3, "Model", "on_llm_end"),
            (2, "Model", "on_llm_new_token"),
        ];
        assert_eq!(problems(&history), none);
    }

    /// A handler may be registered for some runs only.
    #[test]
    fn runs_that_were_not_recorded_do_not_matter() {
        let none: [&str; 0] = [];
        let tool = [(6, "Tool", "on_tool_start"), (7, "Tool", "on_tool_end")];
        assert_eq!(problems(&tool), none);
        let around = [(1, "Chain", "on_chain_start"), (9, "Chain", "on_chain_end")];
        assert_eq!(problems(&[around[0], tool[0], tool[1], around[1]]), none);
        // and the next one around that was recorded does
        let expected = [
            "`Tool` on_tool_start (#10) lies after on_chain_end (#9) of `Chain`, the run around it",
            "`Tool` on_tool_end (#11) lies after on_chain_end (#9) of `Chain`, the run around it",
        ];
        let late = [(10, "Tool", "on_tool_start"), (11, "Tool", "on_tool_end")];
        assert_eq!(
            problems(&[around[0], around[1], late[0], late[1]]),
            expected
        );
    }

    #[test]
    fn a_start_without_an_end_is_found() {
        let history = [
            (1, "Model", "on_llm_start"),
            (2, "Model", "on_llm_new_token"),
        ];
        let expected = ["`Model` started with on_llm_start (#1) and never ended"];
        assert_eq!(problems(&history), expected);
    }

    #[test]
    fn what_never_started_is_found_once() {
        let history = [
            (2, "Model", "on_llm_new_token"),
            (3, "Model", "on_llm_end"),
            (4, "Tool", "on_tool_end"),
        ];
        let expected = [
            "`Model` never started, but there is on_llm_new_token (#2)",
            "`Tool` never started, but there is on_tool_end (#4)",
        ];
        assert_eq!(problems(&history), expected);
    }

    #[test]
    fn a_second_start_is_found() {
        let history = [
            (1, "Model", "on_llm_start"),
            (2, "Model", "on_llm_start"),
            (3, "Model", "on_llm_end"),
            (4, "Model", "on_chat_model_start"),
        ];
        let again = "`Model` started with on_llm_start (#1), and again with";
        let expected = [
            format!("{again} on_llm_start (#2)"),
            format!("{again} on_chat_model_start (#4)"),
        ];
        assert_eq!(problems(&history), expected);
    }

    #[test]
    fn a_second_end_is_found() {
        let history = [
            (1, "Model", "on_llm_start"),
            (2, "Model", "on_llm_error"),
            (3, "Model", "on_llm_end"),
        ];
        let expected = ["`Model` ended with on_llm_error (#2), and again with on_llm_end (#3)"];
        assert_eq!(problems(&history), expected);
    }

    #[test]
    fn an_end_of_another_kind_is_found() {
        let history = [(1, "Model", "on_llm_start"), (2, "Model", "on_chain_end")];
        let expected = ["`Model` started with on_llm_start (#1), but ended with on_chain_end (#2)"];
        assert_eq!(problems(&history), expected);
    }

    #[test]
    fn what_lies_before_the_start_is_found() {
        let history = [
            (1, "Model", "on_llm_new_token"),
            (2, "Model", "on_llm_start"),
            (3, "Model", "on_llm_end"),
        ];
        let expected = ["`Model` on_llm_new_token (#1) lies before on_llm_start (#2)"];
        assert_eq!(problems(&history), expected);
        let history = [(1, "Model", "on_llm_end"), (2, "Model", "on_llm_start")];
        let expected = ["`Model` on_llm_end (#1) lies before on_llm_start (#2)"];
        assert_eq!(problems(&history), expected);
    }

    #[test]
    fn what_is_called_before_the_start_is_found() {
        let history = [
            (2, "Model", "on_llm_new_token"),
            (1, "Model", "on_llm_start"),
            (3, "Model", "on_llm_end"),
        ];
        let expected = ["`Model` on_llm_new_token (#2) was called before on_llm_start (#1)"];
        assert_eq!(problems(&history), expected);
    }

    #[test]
    fn what_lies_after_the_end_is_found() {
        let history = [
            (1, "Model", "on_llm_start"),
            (2, "Model", "on_llm_end"),
            (3, "Model", "on_retry"),
        ];
        let expected = ["`Model` on_retry (#3) lies after on_llm_end (#2)"];
        assert_eq!(problems(&history), expected);
    }

    #[test]
    fn a_child_that_starts_before_its_parent_is_found() {
        let history = [
            (1, "Model", "on_llm_start"),
            (2, "Chain", "on_chain_start"),
            (3, "Model", "on_llm_end"),
            (4, "Chain", "on_chain_end"),
        ];
        let around = "on_chain_start (#2) of `Chain`, the run around it";
        let expected = [format!("`Model` on_llm_start (#1) lies before {around}")];
        assert_eq!(problems(&history), expected);
        let history = [
            (3, "Model", "on_llm_start"),
            (2, "Chain", "on_chain_start"),
            (4, "Model", "on_llm_end"),
            (5, "Chain", "on_chain_end"),
        ];
        let expected = [format!(
            "`Model` on_llm_start (#3) was called before {around}"
        )];
        assert_eq!(problems(&history), expected);
    }

    #[test]
    fn a_child_that_outlives_its_parent_is_found() {
        let history = [
            (1, "Chain", "on_chain_start"),
            (2, "Model", "on_llm_start"),
            (3, "Chain", "on_chain_end"),
            (4, "Model", "on_llm_new_token"),
            (5, "Model", "on_llm_end"),
        ];
        let around = "on_chain_end (#3) of `Chain`, the run around it";
        let expected = [
            format!("`Model` on_llm_new_token (#4) lies after {around}"),
            format!("`Model` on_llm_end (#5) lies after {around}"),
        ];
        assert_eq!(problems(&history), expected);
    }

    #[test]
    fn a_number_that_occurs_twice_is_found() {
        let history = [
            (1, "Chain", "on_chain_start"),
            (2, "Model", "on_llm_start"),
            (2, "Chain", "on_text"),
            (3, "Model", "on_llm_end"),
            (4, "Chain", "on_chain_end"),
        ];
        let expected = ["`Chain` on_text (#2) has the number of on_llm_start (#2) of `Model`"];
        assert_eq!(problems(&history), expected);
    }

    #[test]
    fn all_problems_are_found() {
        let history = [
            (1, "Chain", "on_chain_start"),
            (2, "Model", "on_llm_end"),
            (3, "Chain", "on_chain_end"),
            (4, "Chain", "on_chain_error"),
            (1, "Other", "on_retriever_start"),
        ];
        let expected = [
            "`Model` never started, but there is on_llm_end (#2)",
            "`Chain` ended with on_chain_end (#3), and again with on_chain_error (#4)",
            "`Other` started with on_retriever_start (#1) and never ended",
        ];
        assert_eq!(problems(&history), expected);
    }
}
