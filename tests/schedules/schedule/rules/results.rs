//! What an emission returns.

use super::super::history::{Returned, What};
use super::{Broken, Called, Checks};

/// The first in the order of registration that raises is what comes out.
pub(super) fn errors_are_raised(checks: &Checks<'_>, broken: &mut Broken) {
    let told = checks.told();
    for (emission, emitted) in &checks.emissions {
        let Some((_, result)) = emitted.returned else {
            continue;
        };
        let began = emitted.began;
        let calls = told.get(emission).map(Vec::as_slice).unwrap_or_default();
        let raises = |number: &&usize| {
            let handler = checks.handler(**number);
            let mut calls = calls.iter().filter(|it| it.call.handler == **number);
            handler.raises && !handler.is_queued() && calls.any(Called::fails)
        };
        let late = |number: &usize| checks.handler(*number).may_be_late();
        let expected = match began.scope.iter().find(raises) {
            _ if *result == Returned::Closed => continue,
            // It returns at once, and a question is a stop there.
            _ if began.within.is_some() => checks.decided_inside(began),
            _ if began.scope.iter().any(late) => continue,
            Some(number) => Returned::Raised(*number),
            None => checks.decided(*emission),
        };
        if *result != expected {
            broken.by("the first that raises comes out", (began, result, expected));
        }
    }
}

/// What is closed refuses what comes, and what is open does not.
pub(super) fn what_is_refused_is_closed(checks: &Checks<'_>, broken: &mut Broken) {
    for emitted in checks.emissions.values() {
        let Some((at, Returned::Closed)) = emitted.returned else {
            continue;
        };
        let began = emitted.began;
        // Its own end is what closes it; but where its start is put off, a handler of that may raise at any time.
        let mut around = checks.around(began.run.id);
        let is_closed = if began.what == What::Terminal {
            around.any(|run| checks.closing_of(run).is_some_and(|closing| closing < at))
                || began.within.is_some()
                    && (checks.raises_before(began.run.id, at) || checks.may_time_out(began))
        } else {
            checks.is_closed_before(began.run.id, at)
        };
        if !is_closed {
            broken.by("a run that is open refuses nothing", began);
        }
    }
}
