//! On which thread a method runs.

use std::collections::{HashMap, HashSet};

use callbacks::RunId;

use super::super::history::What;
use super::super::plan::{Surroundings, Way};
use super::{Broken, Checks};

/// The trees that are grown by one thread that waits for all that it emits: nobody else is at work there.
fn quiet(checks: &Checks<'_>) -> HashSet<RunId> {
    let mut threads = HashMap::<_, HashSet<_>>::new();
    let mut busy = HashSet::new();
    for emitted in checks.emissions.values() {
        let began = emitted.began;
        threads
            .entry(began.run.root)
            .or_default()
            .insert(began.thread);
        busy.extend(began.within.map(|_| began.run.root));
    }
    let ends = checks
        .calls
        .iter()
        .filter(|called| called.call.emission.is_none());
    busy.extend(ends.map(|called| called.call.run.root));
    let plain = checks.plan.surroundings.block();
    let quiet = threads
        .into_iter()
        .filter(|(_, threads)| plain && threads.len() == 1);
    quiet
        .map(|(root, _)| root)
        .filter(|root| !busy.contains(root))
        .collect()
}

pub(super) fn methods_run_where_they_should(checks: &Checks<'_>, broken: &mut Broken) {
    let quiet = quiet(checks);
    let migrates = checks.plan.surroundings == Surroundings::MultiThread;
    for called in &checks.calls {
        let call = called.call;
        let handler = checks.handler(call.handler);
        if call.is_nested {
            broken.by("no method is called inside another", call);
        }
        // A thread that waits calls plain methods itself.
        let away = match handler.way {
            Way::Lane | Way::Exclusive => true,
            Way::Background { is_async, .. } => !is_async,
            Way::Inline | Way::Async => false,
        };
        if away && !checks.plan.blocks && !call.on_a_worker {
            broken.by("plain methods are called away", call);
        }
        // Ends are driven by whoever waits for them, and what is put off by whoever has its turn.
        let emitted = call
            .emission
            .map(|emission| checks.emissions[&emission].began);
        let emitted = emitted.filter(|it| it.what != What::Terminal && it.within.is_none());
        let is_here = match handler.way {
            Way::Inline | Way::Async => !migrates,
            Way::Lane => quiet.contains(&call.run.root),
            Way::Exclusive | Way::Background { .. } => false,
        };
        if is_here && emitted.is_some_and(|it| it.thread != call.thread) {
            broken.by("who emits calls methods that do not run elsewhere", call);
        }
    }
}
