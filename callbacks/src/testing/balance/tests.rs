//! Histories that this crate never makes, each wrong in one way.

use super::*;
use crate::RunKind;

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

fn part(method: &str) -> Part {
    let family = match method {
        _ if method.contains("_chain_") => RunKind::Chain,
        _ if method.contains("_tool_") => RunKind::Tool,
        _ if method.contains("_retriever_") => RunKind::Retriever,
        _ => RunKind::Llm,
    };
    match method {
        _ if method.ends_with("_start") => Part::Opens(family),
        _ if method.ends_with("_end") || method.ends_with("_error") => Part::Closes(family),
        _ => Part::Inside,
    }
}

/// What is wrong with calls of these numbers, runs and methods, without the ids of the runs.
fn problems(history: &[(u64, &'static str, &'static str)]) -> Vec<String> {
    let steps = history.iter().map(|&(seq, name, method)| {
        let (run, tree) = run(name);
        let part = part(method);
        Step {
            run,
            name,
            tree,
            seq,
            method,
            part,
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
