//! In which order events are numbered, queued and told.

use std::collections::HashMap;

use callbacks::RunId;

use super::super::history::{Call, What};
use super::super::plan::Way;
use super::{Broken, Called, Checks};

pub(super) fn events_have_one_number(checks: &Checks<'_>, broken: &mut Broken) {
    let rule = "an event has one number in its tree";
    let mut of_number: HashMap<(RunId, u64), &Call> = HashMap::new();
    for Called { call, .. } in &checks.calls {
        let first = *of_number.entry((call.run.root, call.seq)).or_insert(call);
        // Each who is asked is asked by a number of its own.
        let who = |call: &Call| (call.what == What::Question).then_some(call.handler);
        let same = |call: &Call| (call.run.id, call.method, call.emission, who(call));
        if same(first) != same(call) {
            broken.by(rule, (first, call));
        }
    }
    for calls in checks.told().values() {
        let seq = calls[0].call.seq;
        if let Some(other) = calls.iter().find(|other| other.call.seq != seq) {
            broken.by(rule, (calls[0].call, other.call));
        }
    }
}

/// Lanes and queues call one after another, in the order of the numbers.
pub(super) fn queues_are_in_order(checks: &Checks<'_>, broken: &mut Broken) {
    let mut last_in_queue: HashMap<(usize, Option<RunId>), &Called<'_>> = HashMap::new();
    let mut last_of_tree: HashMap<(usize, RunId), &Called<'_>> = HashMap::new();
    for called in &checks.calls {
        let call = called.call;
        let handler = checks.handler(call.handler);
        let queue = match handler.way {
            Way::Inline | Way::Async => continue,
            // Is asked where it is waited for, which is not in its queue.
            Way::Background { .. } if handler.is_async() && call.what == What::Question => continue,
            Way::Exclusive => None,
            Way::Lane | Way::Background { .. } => Some(call.run.root),
        };
        let before = last_in_queue.insert((call.handler, queue), called);
        let overlaps = |last: &&Called<'_>| last.left.is_none_or(|(at, _)| at > called.entered);
        let of_tree = last_of_tree.insert((call.handler, call.run.root), called);
        let is_later = |last: &&Called<'_>| last.call.seq > call.seq;
        if let Some(last) = before.filter(overlaps).or(of_tree.filter(is_later)) {
            broken.by(
                "what is queued is in order, one after another",
                (last, called),
            );
        }
    }
}

/// Something that was told in a tree.
struct Happening<'p> {
    began: usize,
    over: Option<usize>,
    calls: Vec<Called<'p>>,
}

/// What had returned before something else began is before it, for everybody.
pub(super) fn what_comes_later_is_heard_later(checks: &Checks<'_>, broken: &mut Broken) {
    let emitted = checks.asked_and_told().into_iter();
    let emitted = emitted.map(|(emission, calls)| Happening {
        began: checks.emissions[&emission].at,
        over: checks.over(emission),
        calls,
    });
    let ends = checks.of_run(What::Terminal).into_iter();
    let ends = ends.filter_map(|(run, calls)| {
        let calls = calls.into_values();
        let calls: Vec<_> = calls.filter(|it| it.call.emission.is_none()).collect();
        (!calls.is_empty()).then(|| Happening {
            began: checks.closing(run).unwrap_or_default(),
            over: None,
            calls,
        })
    });
    let all: Vec<_> = emitted.chain(ends).collect();
    let root = |happening: &Happening<'_>| happening.calls[0].call.run.root;
    for first in &all {
        let Some(over) = first.over else {
            continue;
        };
        let later = |second: &&Happening<'_>| over <= second.began && root(first) == root(second);
        for second in all.iter().filter(later) {
            for one in &first.calls {
                let overtakes = |other: &&Called<'_>| {
                    let same = other.call.handler == one.call.handler;
                    // Who is asked is done with what is queued.
                    let done = match (other.call.what, one.left) {
                        (What::Question, Some((left, _))) => left,
                        (What::Question, None) => usize::MAX,
                        _ => one.entered,
                    };
                    same && other.entered < done || other.call.seq < one.call.seq
                };
                if let Some(other) = second.calls.iter().find(overtakes) {
                    broken.by("one after another is heard so", (one, other));
                }
            }
        }
    }
}

/// Inline handlers first, one after another as they are registered; then all others, of which the async
/// ones begin in that order.
pub(super) fn handlers_are_called_in_their_order(checks: &Checks<'_>, broken: &mut Broken) {
    let rule = "inline handlers come first, and all in their order";
    for (emission, calls) in checks.told() {
        let scope = &checks.emissions[&emission].began.scope;
        let of = |way: Way| {
            let mut calls = calls.clone();
            calls.retain(|it| checks.handler(it.call.handler).way == way);
            let place =
                |it: &Called<'_>| scope.iter().position(|number| *number == it.call.handler);
            calls.sort_by_key(place);
            calls
        };
        let (inline, asynchronous) = (of(Way::Inline), of(Way::Async));
        for calls in [&inline, &asynchronous] {
            if !calls.is_sorted_by_key(|it| it.entered) {
                broken.by(rule, calls);
            }
        }
        let left = inline.iter().filter_map(|it| it.left);
        let last = left.map(|(left, _)| left).max().unwrap_or_default();
        let is_inline = |it: &Called<'_>| checks.handler(it.call.handler).way == Way::Inline;
        let mut others = calls.iter().filter(|it| !is_inline(it));
        if let Some(early) = others.find(|it| it.entered < last) {
            broken.by(rule, early);
        }
    }
}

/// What is emitted inside a callback comes after the event of that callback, for everybody.
pub(super) fn what_is_put_off_comes_after(checks: &Checks<'_>, broken: &mut Broken) {
    for (emission, calls) in checks.told() {
        let within = checks.emissions[&emission].began.within;
        let Some(outer) = within.and_then(|within| checks.called(within)) else {
            continue;
        };
        let event = |it: &Called<'_>| (it.call.run.root, it.call.seq);
        let outers = checks.calls.iter().filter(|it| event(it) == event(outer));
        for around in outers.filter(|it| it.call.run.root == calls[0].call.run.root) {
            let early = calls.iter().find(|it| {
                let same = it.call.handler == around.call.handler;
                it.call.seq < around.call.seq || same && it.entered < around.entered
            });
            if let Some(early) = early {
                broken.by(
                    "what is put off comes after what it was emitted in",
                    (around, early),
                );
            }
        }
    }
}
