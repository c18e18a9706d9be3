//! Who waits for whom.

use std::collections::HashMap;

use super::super::history::{Entry, Left, What};
use super::super::plan::Way;
use super::{Broken, Called, Checks};

pub(super) fn emissions_wait_for_handlers(checks: &Checks<'_>, broken: &mut Broken) {
    for called in &checks.calls {
        let call = called.call;
        let Some(emission) = call.emission else {
            continue;
        };
        let emitted = &checks.emissions[&emission];
        let handler = checks.handler(call.handler);
        // Questions are waited for in any case.
        let is_queued = handler.is_queued() && call.what != What::Question;
        if emitted.began.within.is_some() || is_queued || handler.may_be_late() {
            continue;
        }
        let Some((returned, _)) = emitted.returned else {
            continue;
        };
        if called.left.is_none_or(|(left, _)| left > returned) {
            broken.by("an emission returns when its handlers are done", called);
        }
    }
}

/// The clock jumps when nothing is left to do: whoever is not done then waits for somebody.
pub(super) fn handlers_do_not_wait_for_each_other(checks: &Checks<'_>, broken: &mut Broken) {
    let mut of_event: HashMap<_, Vec<&Called<'_>>> = HashMap::new();
    for called in &checks.calls {
        let is_awaited = checks.handler(called.call.handler).way == Way::Async;
        if is_awaited && called.call.what != What::Question {
            let event = (called.call.run.root, called.call.seq);
            of_event.entry(event).or_default().push(called);
        }
    }
    for calls in of_event.values() {
        let emission = calls[0].call.emission;
        if emission.is_some_and(|emission| checks.emissions[&emission].is_dropped) {
            continue;
        }
        let is_cut = |it: &&&Called<'_>| matches!(it.left, Some((_, Left::Cut)));
        let first = calls.iter().filter(is_cut).filter_map(|it| it.left);
        let Some((timed_out, _)) = first.min_by_key(|(at, _)| *at) else {
            continue;
        };
        let mut others = calls.iter().filter(|it| !is_cut(it));
        let waits = others.find(|it| it.left.is_none_or(|(left, _)| left > timed_out));
        if let Some(waits) = waits {
            broken.by("handlers do not wait for each other", waits);
        }
    }
}

pub(super) fn nothing_comes_after_the_drains(checks: &Checks<'_>, broken: &mut Broken) {
    let history = checks.played.history.iter();
    let after = history.skip_while(|entry| !matches!(***entry, Entry::Settled));
    for entry in after.skip(1) {
        broken.by("a drain that is complete is the last", entry);
    }
    for called in checks.calls.iter().filter(|called| called.left.is_none()) {
        broken.by("what is entered is left", called);
    }
    let emitted = checks.emissions.values();
    let hangs = |it: &&super::Emitted<'_>| it.returned.is_none() && !it.is_dropped;
    for emitted in emitted.filter(hangs) {
        broken.by("an emission returns, or is dropped", emitted.began);
    }
}
