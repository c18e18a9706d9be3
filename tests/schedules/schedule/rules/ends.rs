//! How runs end: once, after what is inside of them, and for a reason.

use std::collections::{BTreeMap, HashMap};

use callbacks::{ErrorKind, RunId};

use super::super::history::{Returned, What};
use super::super::plan::Way;
use super::{Broken, Called, Cause, Checks};

pub(super) fn runs_have_one_end(checks: &Checks<'_>, broken: &mut Broken) {
    let rule = "who hears a start hears one end";
    let (starts, ends) = (checks.of_run(What::Start), checks.of_run(What::Terminal));
    for (run, starts) in &starts {
        let none = BTreeMap::new();
        let ends = ends.get(run).unwrap_or(&none);
        if !starts.keys().eq(ends.keys()) {
            broken.by(rule, (run, starts.keys(), ends.keys()));
        }
        for (handler, end) in ends {
            let start = starts.get(handler);
            if start.is_some_and(|start| start.entered > end.entered) {
                broken.by(rule, (start, end));
            }
        }
    }
    for run in ends.keys().filter(|run| !starts.contains_key(run)) {
        broken.by(rule, run);
    }
}

pub(super) fn runs_are_nested(checks: &Checks<'_>, broken: &mut Broken) {
    let rule = "events lie in their runs, and runs in those around them";
    let (starts, ends) = (checks.of_run(What::Start), checks.of_run(What::Terminal));
    for called in &checks.calls {
        let call = called.call;
        let around = checks
            .around(call.run.id)
            .filter(|_| call.what != What::Other);
        for around in around.chain([call.run.id]) {
            let (start, end) = (first(&starts, around), first(&ends, around));
            let (before, after) = (
                start.is_some_and(|start| call.seq < start.call.seq),
                end.is_some_and(|end| call.seq > end.call.seq),
            );
            // Its questions come before it.
            let is_before = around == call.run.id && call.what == What::Question && start.is_some();
            if before != is_before || after {
                broken.by(rule, (start, called, end));
            }
        }
        let of = |calls: &HashMap<RunId, BTreeMap<usize, Called<'_>>>, around| {
            calls.get(&around)?.get(&call.handler).map(|it| it.entered)
        };
        for around in checks.around(call.run.id) {
            let early = of(&starts, around).is_some_and(|start| called.entered < start);
            let late = of(&ends, around).is_some_and(|end| called.entered > end);
            if (early || late) && matches!(call.what, What::Start | What::Terminal) {
                broken.by(rule, (around, called));
            }
        }
    }
}

fn first<'c, 'p>(
    calls: &'c HashMap<RunId, BTreeMap<usize, Called<'p>>>,
    run: RunId,
) -> Option<&'c Called<'p>> {
    calls.get(&run)?.values().next()
}

/// The first who closes a run decides how it ends.
pub(super) fn ends_have_a_cause(checks: &Checks<'_>, broken: &mut Broken) {
    let emitted = checks.emissions.values();
    let starts = emitted.filter(|emitted| emitted.began.what == What::Start);
    let starts: HashMap<_, _> = starts.map(|start| (start.began.run.id, start)).collect();
    for (run, ends) in checks.of_run(What::Terminal) {
        let start = starts[&run];
        let emission = start.began.emission;
        for end in ends.values() {
            let closes = |cause: Cause| {
                let mut causes = checks.closings.get(&run).into_iter().flatten();
                causes.any(|(at, what)| *what == cause && *at < end.entered)
            };
            let around = checks.around(run).filter_map(|run| checks.closing_of(run));
            let is_caused = match (end.call.emission, end.call.kind) {
                (Some(_), _) => closes(Cause::Ended),
                (None, None) => checks.is_answered(emission),
                (None, Some(ErrorKind::Dropped)) => closes(Cause::Dropped) || start.is_dropped,
                (None, Some(ErrorKind::Panicked)) => closes(Cause::Panicked),
                (None, Some(ErrorKind::Abandoned)) => around.min() < Some(end.entered),
                (None, Some(ErrorKind::Stopped)) => match start.returned {
                    Some((_, returned)) => *returned == Returned::Stopped,
                    None => true,
                },
                (None, Some(ErrorKind::Failed)) => {
                    closes(Cause::Raised) || checks.may_time_out(start.began)
                }
                (None, Some(_)) => false,
            };
            if !is_caused {
                broken.by(
                    "who closes a run first decides how it ends",
                    (start.began, end),
                );
            }
        }
    }
}

/// What a run says of itself.
pub(super) fn runs_are_over_when_nothing_is_to_come(checks: &Checks<'_>, broken: &mut Broken) {
    for called in checks.calls.iter().filter(|called| called.call.is_over) {
        let (call, way) = (called.call, checks.handler(called.call.handler).way);
        // Whoever ends the run can do so while it is emitted in.
        let may_race = call.what == What::Other && matches!(way, Way::Inline | Way::Async);
        if !may_race {
            broken.by("a run is not over while something is to come of it", call);
        }
    }
    for run in &checks.played.open {
        broken.by("a run is over when nothing is to come of it", run);
    }
}
