//! The rules of delivery, held against what happened. Nothing here knows how they are kept.

mod asking;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Debug;

use callbacks::RunId;

use super::history::{Call, Emission, Entry, Left, Returned, What};
use super::plan::{HandlerPlan, Plan, Wants, Way};
use super::play::Played;

/// All that was broken, in words.
pub(crate) fn broken(plan: &Plan, played: &Played) -> Vec<String> {
    let mut checks = Checks::of(plan, played);
    checks.numbers_are_unique_and_tell_the_order();
    checks.nobody_is_called_twice();
    checks.runs_have_one_end();
    checks.runs_are_nested();
    checks.queues_are_in_order();
    checks.emissions_are_in_order();
    checks.emissions_call_in_order();
    checks.emissions_wait_for_handlers();
    checks.emissions_reach_handlers(&played.dropped);
    checks.errors_are_raised();
    checks.questions_are_asked_in_order();
    checks.decisions_are_honoured();
    checks.threads_are_right();
    checks.nothing_comes_after_the_drains();
    checks.broken
}

struct Checks<'p> {
    plan: &'p Plan,
    history: &'p [Entry],
    calls: Vec<Called>,
    emissions: BTreeMap<Emission, Emitted>,
    broken: Vec<String>,
}

/// A call, and where in the history it was entered and left.
struct Called {
    call: Call,
    entered: usize,
    left: Option<(usize, Left)>,
}

struct Emitted {
    scope: Vec<usize>,
    within: Option<u64>,
    asks: bool,
    is_answered: bool,
    began: usize,
    returned: Option<(usize, Returned)>,
    is_dropped: bool,
}

impl<'p> Checks<'p> {
    fn of(plan: &'p Plan, played: &'p Played) -> Self {
        type Emissions = BTreeMap<Emission, Emitted>;

        fn of(emissions: &mut Emissions, emission: Emission) -> &mut Emitted {
            let emitted = emissions.get_mut(&emission);
            emitted.expect("an emission begins before anything else comes of it")
        }

        let (mut calls, mut at_call) = (Vec::new(), HashMap::new());
        let mut emissions = Emissions::new();
        for (at, entry) in played.history.iter().enumerate() {
            match entry {
                Entry::Began {
                    emission,
                    scope,
                    within,
                } => {
                    let emitted = Emitted {
                        scope: scope.clone(),
                        within: *within,
                        asks: false,
                        is_answered: false,
                        began: at,
                        returned: None,
                        is_dropped: false,
                    };
                    emissions.insert(*emission, emitted);
                }
                Entry::Asks { emission } => of(&mut emissions, *emission).asks = true,
                Entry::Answered { emission } => of(&mut emissions, *emission).is_answered = true,
                Entry::Returned { emission, result } => {
                    of(&mut emissions, *emission).returned = Some((at, result.clone()));
                }
                Entry::Dropped { emission } => of(&mut emissions, *emission).is_dropped = true,
                Entry::Settled => {}
                Entry::Entered(call) => {
                    at_call.insert(call.number, calls.len());
                    calls.push(Called {
                        call: call.clone(),
                        entered: at,
                        left: None,
                    });
                }
                Entry::Left { call, how } => calls[at_call[call]].left = Some((at, *how)),
            }
        }
        Self {
            plan,
            history: &played.history,
            calls,
            emissions,
            broken: Vec::new(),
        }
    }

    fn breaks(&mut self, rule: &str, by: impl Debug) {
        self.broken.push(format!("{rule}: {by:?}"));
    }

    fn handler(&self, number: usize) -> &'p HandlerPlan {
        &self.plan.handlers[number]
    }

    /// Of one emission, all calls, with those of its questions.
    fn all_of_emission(&self) -> HashMap<Emission, Vec<&Called>> {
        let mut of_emission: HashMap<_, Vec<_>> = HashMap::new();
        for called in &self.calls {
            if let Some(emission) = called.call.emission {
                of_emission.entry(emission).or_default().push(called);
            }
        }
        of_emission
    }

    /// Of one emission, by whom it was heard.
    fn of_emission(&self) -> HashMap<Emission, Vec<&Called>> {
        self.of_emission_by(|what| what != What::Question)
    }

    fn of_emission_by(&self, of: impl Fn(What) -> bool) -> HashMap<Emission, Vec<&Called>> {
        let mut of_emission = self.all_of_emission();
        of_emission.retain(|_, calls| {
            calls.retain(|called| of(called.call.what));
            !calls.is_empty()
        });
        of_emission
    }

    /// Where all was done that an emission waits for. What is emitted inside a callback returns at once, and
    /// is delivered after the emission around that callback.
    fn over(&self, emission: Emission) -> Option<usize> {
        let emitted = &self.emissions[&emission];
        let (returned, _) = emitted.returned.as_ref()?;
        let Some(within) = emitted.within else {
            return Some(*returned);
        };
        let around = self
            .calls
            .iter()
            .find(|called| called.call.number == within)?;
        let (left, _) = around.left?;
        // An end that nobody emitted: who drives it is unknown.
        let over = self.over(around.call.emission?)?;
        Some(over.max(left).max(*returned))
    }

    fn numbers_are_unique_and_tell_the_order(&mut self) {
        let mut of_number: HashMap<(RunId, u64), &Call> = HashMap::new();
        let mut broken = Vec::new();
        for Called { call, .. } in &self.calls {
            let first = of_number.entry((call.root, call.seq)).or_insert(call);
            // Each who is asked is asked by a number of its own.
            let who = |call: &Call| (call.what == What::Question).then_some(call.handler);
            let same = |call: &Call| (call.run, call.method, call.emission, who(call));
            if same(first) != same(call) {
                broken.push((first.clone().clone(), call.clone()));
            }
        }
        for calls in self.of_emission().values() {
            let (first, others) = (&calls[0].call, &calls[1..]);
            if let Some(other) = others.iter().find(|other| other.call.seq != first.seq) {
                broken.push((first.clone(), other.call.clone()));
            }
        }
        for pair in broken {
            self.breaks("an event has one number in its tree", pair);
        }
    }

    fn nobody_is_called_twice(&mut self) {
        let mut seen = HashSet::new();
        let again = |called: &&Called| {
            let call = &called.call;
            let key = (call.handler, call.run, call.what, call.emission);
            !seen.insert(match call.what {
                What::Question | What::Start | What::Terminal => {
                    (call.handler, call.run, Some(call.what), None)
                }
                What::Other => (key.0, key.1, None, key.3),
            })
        };
        let twice: Vec<_> = self
            .calls
            .iter()
            .filter(again)
            .map(|it| it.call.clone())
            .collect();
        for call in twice {
            self.breaks("a handler is called once", call);
        }
    }

    /// By run, the calls of each handler.
    fn of_run(&self, what: What) -> HashMap<RunId, BTreeMap<usize, &Called>> {
        let mut of_run: HashMap<_, BTreeMap<_, _>> = HashMap::new();
        for called in self.calls.iter().filter(|called| called.call.what == what) {
            let handlers = of_run.entry(called.call.run).or_default();
            handlers.insert(called.call.handler, called);
        }
        of_run
    }

    fn runs_have_one_end(&mut self) {
        let (starts, ends) = (self.of_run(What::Start), self.of_run(What::Terminal));
        let mut broken = Vec::new();
        for (run, starts) in &starts {
            let none = BTreeMap::new();
            let ends = ends.get(run).unwrap_or(&none);
            if !starts.keys().eq(ends.keys()) {
                let heard = (
                    starts.keys().collect::<Vec<_>>(),
                    ends.keys().collect::<Vec<_>>(),
                );
                broken.push(format!("{run}: {heard:?}"));
            }
            let mut methods: Vec<_> = ends.values().map(|end| end.call.method).collect();
            methods.dedup();
            if methods.len() > 1 {
                broken.push(format!("{run}: {methods:?}"));
            }
            for (handler, end) in ends {
                if starts
                    .get(handler)
                    .is_some_and(|start| start.entered > end.entered)
                {
                    broken.push(format!("{run} ends before it starts, for {handler}"));
                }
            }
        }
        for run in ends.keys().filter(|run| !starts.contains_key(run)) {
            broken.push(format!("{run} has no start"));
        }
        for run in broken {
            self.breaks("who hears a start hears one end", run);
        }
    }

    fn runs_are_nested(&mut self) {
        let number = |calls: &HashMap<RunId, BTreeMap<usize, &Called>>, run: &RunId| {
            let calls = calls.get(run)?;
            calls.values().next().map(|called| called.call.seq)
        };
        let (starts, ends) = (self.of_run(What::Start), self.of_run(What::Terminal));
        let mut broken = Vec::new();
        for Called { call, .. } in &self.calls {
            let parent = call.parent.filter(|_| call.what != What::Other);
            for around in [Some(call.run), parent].into_iter().flatten() {
                let before = |start| call.seq < start;
                let early = number(&starts, &around).is_some_and(before);
                let late = number(&ends, &around).is_some_and(|end| call.seq > end);
                // Its questions come before it.
                let is_early = around == call.run && call.what == What::Question;
                if early != is_early && number(&starts, &around).is_some() || late {
                    broken.push(call.clone());
                }
            }
        }
        for call in broken {
            self.breaks(
                "events lie in their runs, and runs in those around them",
                call,
            );
        }
    }

    /// Lanes and queues call one after another, in the order of the numbers.
    fn queues_are_in_order(&mut self) {
        let mut before: HashMap<(usize, Option<RunId>), &Called> = HashMap::new();
        let mut broken = Vec::new();
        for called in &self.calls {
            let call = &called.call;
            let handler = self.handler(call.handler);
            let tree = match handler.way {
                Way::Inline | Way::Async => continue,
                // Is asked where it is waited for, which is not in its queue.
                Way::Background { .. } if handler.is_async() && call.what == What::Question => {
                    continue;
                }
                Way::Exclusive => None,
                Way::Lane | Way::Background { .. } => Some(call.root),
            };
            let Some(last) = before.insert((call.handler, tree), called) else {
                continue;
            };
            let overlaps = last.left.is_none_or(|(left, _)| left > called.entered);
            let backwards = last.call.root == call.root && last.call.seq > call.seq;
            if overlaps || backwards {
                broken.push((last.call.clone(), call.clone()));
            }
        }
        for pair in broken {
            self.breaks("what is queued is in order, one after another", pair);
        }
    }

    /// What had returned before something else began is before it, for everybody.
    fn emissions_are_in_order(&mut self) {
        let of_emission = self.all_of_emission();
        let mut broken = Vec::new();
        for (first, firsts) in &of_emission {
            let Some(over) = self.over(*first) else {
                continue;
            };
            for (second, seconds) in &of_emission {
                let same_tree = firsts[0].call.root == seconds[0].call.root;
                if !same_tree || over > self.emissions[second].began {
                    continue;
                }
                for one in firsts {
                    // Who is asked is done with what is queued.
                    let done = |what| match (what, one.left) {
                        (What::Question, Some((left, _))) => left,
                        (What::Question, None) => usize::MAX,
                        _ => one.entered,
                    };
                    let is_wrong = |other: &&&Called| {
                        let same = other.call.handler == one.call.handler;
                        let overtakes = other.entered < done(other.call.what);
                        same && overtakes || other.call.seq < one.call.seq
                    };
                    let other = seconds.iter().find(is_wrong);
                    broken.extend(other.map(|other| (one.call.clone(), other.call.clone())));
                }
            }
        }
        for pair in broken {
            self.breaks("one after another is heard so", pair);
        }
    }

    /// Inline handlers first, one after another as they are registered; then all others, of which the async
    /// ones begin in that order.
    fn emissions_call_in_order(&mut self) {
        let mut broken = Vec::new();
        for (emission, calls) in self.of_emission() {
            let scope = &self.emissions[&emission].scope;
            let of = |way: Way| {
                let mut calls = calls.clone();
                calls.retain(|it| self.handler(it.call.handler).way == way);
                let at = |it: &&Called| scope.iter().position(|number| *number == it.call.handler);
                calls.sort_by_key(at);
                calls
            };
            let (inline, asynchronous) = (of(Way::Inline), of(Way::Async));
            for calls in [&inline, &asynchronous] {
                if !calls.is_sorted_by_key(|it| it.entered) {
                    broken.push(calls[0].call.clone());
                }
            }
            let last = inline
                .iter()
                .filter_map(|it| it.left)
                .map(|(left, _)| left)
                .max();
            let others = calls
                .iter()
                .filter(|it| self.handler(it.call.handler).way != Way::Inline);
            let early = others.filter(|it| last.is_some_and(|last| it.entered < last));
            broken.extend(early.map(|it| it.call.clone()));
        }
        for call in broken {
            self.breaks("inline handlers come first, and all in their order", call);
        }
    }

    fn emissions_wait_for_handlers(&mut self) {
        let mut broken = Vec::new();
        for called in &self.calls {
            let call = &called.call;
            let Some(emission) = call.emission else {
                continue;
            };
            let emitted = &self.emissions[&emission];
            let handler = self.handler(call.handler);
            // Questions are waited for in any case.
            let is_queued = handler.is_queued() && call.what != What::Question;
            if emitted.within.is_some() || is_queued || handler.may_be_late() {
                continue;
            }
            let Some((returned, _)) = emitted.returned else {
                continue;
            };
            if called.left.is_none_or(|(left, _)| left > returned) {
                broken.push(call.clone());
            }
        }
        for call in broken {
            self.breaks("an emission returns when its handlers are done", call);
        }
    }

    fn emissions_reach_handlers(&mut self, dropped: &HashMap<usize, u64>) {
        let of_emission = self.of_emission();
        let mut missing: HashMap<usize, u64> = HashMap::new();
        let mut broken = Vec::new();
        for (emission, emitted) in &self.emissions {
            let calls = of_emission
                .get(emission)
                .map(Vec::as_slice)
                .unwrap_or_default();
            let closed = matches!(emitted.returned, Some((_, Returned::Closed)));
            // What a handler answers for starts, and is closed then.
            if closed && !calls.is_empty() && !self.is_answered(*emission) {
                broken.push(format!(
                    "{emission} was refused, and is heard: {:?}",
                    calls[0].call
                ));
            }
            let Some(Called { call, .. }) = calls.first() else {
                // Of no kind that is known, so nothing is known of who wants it.
                continue;
            };
            // What was dropped midway has reached all or some. A start has reached all, before it can be
            // dropped; an end goes on.
            if emitted.returned.is_none() && call.what == What::Other {
                continue;
            }
            for number in &emitted.scope {
                let handler = self.handler(*number);
                let heard = calls.iter().any(|it| it.call.handler == *number);
                if heard == wants(handler, call) {
                    continue;
                }
                let drops = matches!(handler.way, Way::Background { drops: true, .. });
                if !heard && drops && call.what == What::Other {
                    *missing.entry(*number).or_default() += 1;
                } else if !heard && call.what == What::Terminal && !self.started(*number, call.run)
                {
                    // It was not there at the start.
                } else {
                    broken.push(format!("{number} {heard}: {call:?}"));
                }
            }
            for called in calls {
                if !emitted.scope.contains(&called.call.handler) {
                    broken.push(format!("is not registered: {:?}", called.call));
                }
            }
        }
        for (number, missing) in missing {
            let said = dropped.get(&number).copied().unwrap_or_default();
            if said < missing {
                broken.push(format!(
                    "{number}: {missing} are missing, of {said} dropped"
                ));
            }
        }
        for event in broken {
            self.breaks("an event reaches those who want it, and are there", event);
        }
    }

    fn started(&self, handler: usize, run: RunId) -> bool {
        let mut calls = self.calls.iter().map(|called| &called.call);
        calls.any(|call| call.what == What::Start && call.handler == handler && call.run == run)
    }

    /// The first in the order of registration that raises is what comes out.
    fn errors_are_raised(&mut self) {
        let of_emission = self.of_emission();
        let mut broken = Vec::new();
        for (emission, emitted) in &self.emissions {
            let Some((_, result)) = &emitted.returned else {
                continue;
            };
            let calls = of_emission
                .get(emission)
                .map(Vec::as_slice)
                .unwrap_or_default();
            let raises = |number: &&usize| {
                let handler = self.handler(**number);
                let awaited = !handler.is_queued();
                let mut calls = calls.iter().filter(|it| it.call.handler == **number);
                let fails = |it: &&Called| it.left.is_none_or(|(_, how)| how != Left::Well);
                handler.raises && awaited && calls.any(fails)
            };
            let late = |number: &usize| self.handler(*number).may_be_late();
            let expected = match emitted.scope.iter().find(raises) {
                _ if emitted.within.is_some() || emitted.scope.iter().any(late) => continue,
                _ if *result == Returned::Closed => continue,
                Some(number) => Returned::Raised(*number),
                None => self.decided(*emission),
            };
            if *result != expected {
                broken.push(format!("{emission}: {result:?}, not {expected:?}"));
            }
        }
        for emission in broken {
            self.breaks("the first that raises comes out", emission);
        }
    }

    fn threads_are_right(&mut self) {
        let mut broken = Vec::new();
        for Called { call, .. } in &self.calls {
            let away = match self.handler(call.handler).way {
                Way::Lane
                | Way::Exclusive
                | Way::Background {
                    is_async: false, ..
                } => true,
                Way::Inline | Way::Async | Way::Background { is_async: true, .. } => false,
            };
            // A thread that waits calls plain methods itself.
            if call.is_nested || away && !self.plan.blocks && !call.on_a_worker {
                broken.push(call.clone());
            }
        }
        for call in broken {
            self.breaks("plain methods are called away, and none in another", call);
        }
    }

    fn nothing_comes_after_the_drains(&mut self) {
        let settled = |entry: &Entry| matches!(entry, Entry::Settled);
        let history = self.history;
        let at = history.iter().position(settled).unwrap_or(history.len());
        for entry in history.iter().skip(at + 1) {
            self.breaks("a drain that is complete is the last", entry);
        }
        let open = self.calls.iter().filter(|called| called.left.is_none());
        for call in open.map(|called| called.call.clone()).collect::<Vec<_>>() {
            self.breaks("what is entered is left", call);
        }
        let emitted = self.emissions.iter();
        let hangs = emitted.filter(|(_, it)| it.returned.is_none() && !it.is_dropped);
        for emission in hangs.map(|(emission, _)| *emission).collect::<Vec<_>>() {
            self.breaks("an emission returns, or is dropped", emission);
        }
    }
}

fn wants(handler: &HandlerPlan, call: &Call) -> bool {
    if call.method == "on_sold" {
        return handler.hears_sales;
    }
    match handler.wants {
        Wants::All => true,
        Wants::NoTools => !call.method.starts_with("on_tool"),
        Wants::NoModels => !call.method.starts_with("on_llm"),
        Wants::Frame => call.what != What::Other,
    }
}
