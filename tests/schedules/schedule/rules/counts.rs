//! What the drains report, and what the queues hold.

use super::super::history::{Left, Returned, What};
use super::super::plan::Way;
use super::{Broken, Checks, wants};

/// Each failure, timeout and loss is counted, and nothing else.
pub(super) fn reports_are_true(checks: &Checks<'_>, broken: &mut Broken) {
    let told = checks.told();
    for (number, handler) in checks.plan.handlers.iter().enumerate() {
        let counts = checks.played.counts.get(&number).copied();
        let counts = counts.unwrap_or_default();
        let calls = checks.calls.iter().filter(|it| it.call.handler == number);
        let left = |how: Left| {
            let left = calls.clone();
            left.filter(move |it| it.left.is_some_and(|(_, left)| left == how))
        };
        let failed = left(Left::Failed).count() as u64;
        let is_given_up = |it: &super::Called<'_>| {
            let emission = it.call.emission;
            emission.is_some_and(|emission| checks.emissions[&emission].is_dropped)
        };
        let (most, least) = if handler.has_timeout {
            let certain = left(Left::Cut).filter(|it| !is_given_up(it)).count();
            (left(Left::Cut).count() as u64, certain as u64)
        } else {
            (0, 0)
        };
        let timeouts_are_true = (least..=most).contains(&counts.timed_out);
        // Who is late fails when it is counted already.
        if !handler.may_be_late() && (counts.failed != failed || !timeouts_are_true) {
            let expected = (failed, least, most);
            broken.by(
                "failures and timeouts are counted",
                (number, counts, expected),
            );
        }

        let drops = matches!(handler.way, Way::Background { drops: true, .. });
        let (mut missing, mut given_up) = (0, 0);
        for (emission, emitted) in &checks.emissions {
            let began = emitted.began;
            if !began.scope.contains(&number) {
                continue;
            }
            let calls = told.get(emission).map(Vec::as_slice).unwrap_or_default();
            let is_told = calls.iter().any(|it| it.call.handler == number);
            let is_wanted = wants(handler, began.what, began.method);
            match emitted.returned {
                // By the question, and by the event.
                None => given_up += 2,
                Some((_, Returned::Closed)) => {}
                Some(_) if is_told || !is_wanted || !drops || began.what != What::Other => {}
                // It may have come too late, for all.
                Some(_) if began.within.is_some() && calls.is_empty() => given_up += 1,
                Some(_) => missing += 1,
            }
        }
        if !(missing..=missing + given_up).contains(&counts.dropped) {
            broken.by(
                "what is lost is counted",
                (number, counts, missing, given_up),
            );
        }
    }
}

/// So many events of a tree wait for a handler, and no more; starts, ends and what is put off come on top.
pub(super) fn queues_are_bounded(checks: &Checks<'_>, broken: &mut Broken) {
    let told = checks.told();
    for (number, handler) in checks.plan.handlers.iter().enumerate() {
        let Way::Background { room, .. } = handler.way else {
            continue;
        };
        let queued: Vec<_> = checks
            .emissions
            .iter()
            .filter(|(_, it)| it.began.what == What::Other && it.began.within.is_none())
            .filter_map(|(emission, it)| {
                let (returned, _) = it.returned?;
                let calls = told.get(emission)?.iter();
                let call = calls.clone().find(|it| it.call.handler == number)?;
                Some((it.began.run.root, returned, call.entered))
            })
            .collect();
        for (root, at, _) in &queued {
            let waits = queued.iter().filter(|(other, returned, entered)| {
                other == root && returned <= at && entered > at
            });
            let waits = waits.count();
            // One may have been taken out and not been entered yet.
            if waits > room + 1 {
                broken.by("queues are bounded", (number, root, waits));
            }
        }
    }
}
