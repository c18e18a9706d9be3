//! Whom an event reaches, and what they see.

use std::collections::HashSet;

use super::super::history::{Returned, What};
use super::super::plan::Way;
use super::{Broken, Checks, wants};

/// Handlers see what was emitted, where it was emitted.
pub(super) fn calls_are_of_what_was_emitted(checks: &Checks<'_>, broken: &mut Broken) {
    let rule = "handlers see what was emitted";
    for called in &checks.calls {
        let call = called.call;
        let Some(emission) = call.emission else {
            let knows = checks.emissions.values();
            let mut knows = knows.filter(|emitted| emitted.began.run.id == call.run.id);
            let same = knows.next().is_some_and(|it| *it.began.run == call.run);
            if !same || call.what != What::Terminal {
                broken.by(rule, call);
            }
            continue;
        };
        let began = checks.emissions[&emission].began;
        let is_asked = call.what == What::Question && began.what == What::Start;
        let same = (began.what, began.method) == (call.what, call.method) || is_asked;
        if !same || *began.run != call.run || !began.scope.contains(&call.handler) {
            broken.by(rule, (began, call));
        }
    }
}

pub(super) fn nobody_is_called_twice(checks: &Checks<'_>, broken: &mut Broken) {
    let mut seen = HashSet::new();
    for called in &checks.calls {
        let call = called.call;
        let emission = call.emission.filter(|_| call.what == What::Other);
        if !seen.insert((call.handler, call.run.id, call.what, emission)) {
            broken.by("a handler is called once", call);
        }
    }
}

pub(super) fn emissions_reach_handlers(checks: &Checks<'_>, broken: &mut Broken) {
    let rule = "an event reaches those who want it, and are there";
    let (told, starts) = (checks.told(), checks.of_run(What::Start));
    for (emission, emitted) in &checks.emissions {
        let began = emitted.began;
        let calls = told.get(emission).map(Vec::as_slice).unwrap_or_default();
        let run = began.run.id;
        let is_lost = match (emitted.returned, began.what) {
            (Some((_, Returned::Closed)), _) => {
                // What a handler answers for starts, and is closed then.
                if !calls.is_empty() && !checks.is_answered(*emission) {
                    broken.by(rule, ("refused, and told", began, calls));
                }
                continue;
            }
            // It was dropped midway, and has reached all or some.
            (None, What::Other) => continue,
            // A start has reached all before it can be dropped, if any.
            (None, What::Start) => true,
            // An end goes on, unless the run was closed before.
            (None, _) => checks.is_closed_before(run, usize::MAX),
            // What is put off may come too late, for all.
            (Some(_), _) if began.within.is_some() => {
                let over = checks.over(*emission).unwrap_or(usize::MAX);
                checks.is_closed_before(run, over)
            }
            _ => false,
        };
        if is_lost && calls.is_empty() {
            continue;
        }
        for number in &began.scope {
            let handler = checks.handler(*number);
            let is_told = calls.iter().any(|it| it.call.handler == *number);
            let drops = matches!(handler.way, Way::Background { drops: true, .. });
            let is_there = match began.what {
                What::Terminal => starts.get(&run).is_some_and(|all| all.contains_key(number)),
                // The counts tell.
                What::Other => is_told || !drops,
                _ => true,
            };
            if is_told != (is_there && wants(handler, began.what, began.method)) {
                broken.by(rule, (number, is_told, began));
            }
        }
    }
}
