//! The rules of delivery, held against what happened. Nothing here knows how they are kept.

mod asking;
mod counts;
mod ends;
mod order;
mod places;
mod reach;
mod results;
mod waits;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::iter::successors;

use callbacks::RunId;

use super::history::{Began, Call, Emission, Entry, Left, Returned, What};
use super::plan::{HandlerPlan, Plan, Wants};
use super::play::Played;

const RULES: &[fn(&Checks<'_>, &mut Broken)] = &[
    reach::calls_are_of_what_was_emitted,
    reach::nobody_is_called_twice,
    reach::emissions_reach_handlers,
    order::events_have_one_number,
    order::queues_are_in_order,
    order::what_comes_later_is_heard_later,
    order::handlers_are_called_in_their_order,
    order::what_is_put_off_comes_after,
    ends::runs_have_one_end,
    ends::runs_are_nested,
    ends::ends_have_a_cause,
    ends::runs_are_over_when_nothing_is_to_come,
    results::errors_are_raised,
    results::what_is_refused_is_closed,
    asking::questions_are_asked_in_order,
    asking::decisions_are_honoured,
    waits::emissions_wait_for_handlers,
    waits::handlers_do_not_wait_for_each_other,
    waits::nothing_comes_after_the_drains,
    places::methods_run_where_they_should,
    counts::reports_are_true,
    counts::queues_are_bounded,
];

/// All that was broken, in words.
pub(crate) fn broken(plan: &Plan, played: &Played) -> Vec<String> {
    let checks = Checks::of(plan, played);
    let mut broken = Broken::default();
    for rule in RULES {
        rule(&checks, &mut broken);
    }
    broken.0
}

#[derive(Default)]
struct Broken(Vec<String>);

impl Broken {
    fn by(&mut self, rule: &str, what: impl Debug) {
        self.0.push(format!("{rule}: {what:?}"));
    }
}

struct Checks<'p> {
    plan: &'p Plan,
    played: &'p Played,
    calls: Vec<Called<'p>>,
    emissions: BTreeMap<Emission, Emitted<'p>>,
    parents: HashMap<RunId, Option<RunId>>,
    /// Where each run may have begun to close, and why.
    closings: HashMap<RunId, Vec<(usize, Cause)>>,
}

/// A call, and where in the history it was entered and left.
#[derive(Clone, Copy, Debug)]
struct Called<'p> {
    call: &'p Call,
    entered: usize,
    left: Option<(usize, Left)>,
}

impl Called<'_> {
    /// Whether it went wrong, if what it did counts.
    fn fails(&self) -> bool {
        !matches!(self.left, Some((_, Left::Well | Left::Answered(_))))
    }
}

struct Emitted<'p> {
    began: &'p Began,
    at: usize,
    asks: bool,
    is_answered: bool,
    returned: Option<(usize, &'p Returned)>,
    is_dropped: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    Ended,
    Dropped,
    Panicked,
    /// A handler of the start raised an error.
    Raised,
    /// Nobody got a guard of it.
    Unguarded,
}

impl<'p> Checks<'p> {
    fn of(plan: &'p Plan, played: &'p Played) -> Self {
        let mut checks = Self {
            plan,
            played,
            calls: Vec::new(),
            emissions: BTreeMap::new(),
            parents: HashMap::new(),
            closings: HashMap::new(),
        };
        let mut at_call = HashMap::new();
        for (at, entry) in played.history.iter().enumerate() {
            match &**entry {
                Entry::Began(began) => checks.begin(at, began),
                Entry::Asks { emission } => checks.emission(*emission).asks = true,
                Entry::Answered { emission } => checks.emission(*emission).is_answered = true,
                Entry::Returned { emission, result } => {
                    checks.emission(*emission).returned = Some((at, result));
                }
                Entry::Dropped { emission } => checks.emission(*emission).is_dropped = true,
                Entry::Closes { run, panics } => {
                    let cause = if *panics {
                        Cause::Panicked
                    } else {
                        Cause::Dropped
                    };
                    checks.closes(*run, at, cause);
                }
                Entry::Entered(call) => {
                    at_call.insert(call.number, checks.calls.len());
                    checks.calls.push(Called {
                        call,
                        entered: at,
                        left: None,
                    });
                }
                Entry::Left { call, how } => {
                    let called = &mut checks.calls[at_call[call]];
                    called.left = Some((at, *how));
                    let called = *called;
                    let handler = checks.handler(called.call.handler);
                    let raises = handler.raises && !handler.is_queued() && called.fails();
                    if raises && called.call.what == What::Start {
                        checks.closes(called.call.run.id, at, Cause::Raised);
                    }
                }
                Entry::Settled => {}
            }
        }
        let emitted = checks.emissions.values();
        let starts = emitted.filter(|it| it.began.what == What::Start);
        let guarded =
            |it: &Emitted<'_>| !it.is_answered && matches!(it.returned, Some((_, Returned::Ok)));
        let unguarded = starts.filter(|it| !guarded(it));
        let unguarded: Vec<_> = unguarded.map(|it| (it.began.run.id, it.at)).collect();
        for (run, at) in unguarded {
            checks.closes(run, at, Cause::Unguarded);
        }
        checks
    }

    fn begin(&mut self, at: usize, began: &'p Began) {
        let run = &began.run;
        self.parents.insert(run.id, run.parent);
        if began.what == What::Terminal {
            self.closes(run.id, at, Cause::Ended);
        }
        self.emissions.insert(
            began.emission,
            Emitted {
                began,
                at,
                asks: false,
                is_answered: false,
                returned: None,
                is_dropped: false,
            },
        );
    }

    fn emission(&mut self, emission: Emission) -> &mut Emitted<'p> {
        let emitted = self.emissions.get_mut(&emission);
        emitted.expect("an emission begins before anything comes of it")
    }

    fn closes(&mut self, run: RunId, at: usize, cause: Cause) {
        self.closings.entry(run).or_default().push((at, cause));
    }

    fn handler(&self, number: usize) -> &'p HandlerPlan {
        &self.plan.handlers[number]
    }

    fn of_emission(&self, by: impl Fn(What) -> bool) -> HashMap<Emission, Vec<Called<'p>>> {
        let mut of_emission: HashMap<_, Vec<_>> = HashMap::new();
        for called in self.calls.iter().filter(|called| by(called.call.what)) {
            if let Some(emission) = called.call.emission {
                of_emission.entry(emission).or_default().push(*called);
            }
        }
        of_emission
    }

    /// By emission, all calls, with those of its questions.
    fn asked_and_told(&self) -> HashMap<Emission, Vec<Called<'p>>> {
        self.of_emission(|_| true)
    }

    /// By emission, whom it was told.
    fn told(&self) -> HashMap<Emission, Vec<Called<'p>>> {
        self.of_emission(|what| what != What::Question)
    }

    /// By run, the calls of each handler.
    fn of_run(&self, what: What) -> HashMap<RunId, BTreeMap<usize, Called<'p>>> {
        let mut of_run: HashMap<_, BTreeMap<_, _>> = HashMap::new();
        for called in self.calls.iter().filter(|called| called.call.what == what) {
            let handlers = of_run.entry(called.call.run.id).or_default();
            handlers.insert(called.call.handler, *called);
        }
        of_run
    }

    /// Where all was done that an emission waits for. What is emitted inside a callback returns at once, and
    /// is delivered after the emission around that callback.
    fn over(&self, emission: Emission) -> Option<usize> {
        let emitted = &self.emissions[&emission];
        let (returned, _) = emitted.returned?;
        let Some(within) = emitted.began.within else {
            return Some(returned);
        };
        let around = self.called(within)?;
        let (left, _) = around.left?;
        // An end that nobody emitted: who drives it is unknown.
        let over = self.over(around.call.emission?)?;
        Some(over.max(left).max(returned))
    }

    fn called(&self, number: u64) -> Option<&Called<'p>> {
        self.calls
            .iter()
            .find(|called| called.call.number == number)
    }

    /// The runs around a run, from the inside.
    fn around(&self, run: RunId) -> impl Iterator<Item = RunId> {
        successors(self.parents[&run], |run| self.parents[run])
    }

    /// Where a run, or one around it, began to close.
    fn closing(&self, run: RunId) -> Option<usize> {
        let own = self.closing_of(run);
        let around = self.around(run).filter_map(|run| self.closing_of(run));
        own.into_iter().chain(around).min()
    }

    fn closing_of(&self, run: RunId) -> Option<usize> {
        let closings = self.closings.get(&run)?.iter();
        closings.map(|(at, _)| *at).min()
    }

    /// Whether a handler of the run's start has raised by then.
    fn raises_before(&self, run: RunId, at: usize) -> bool {
        let closings = self.closings.get(&run).into_iter().flatten();
        let mut raises = closings.filter(|(_, cause)| *cause == Cause::Raised);
        raises.any(|(raises, _)| *raises < at)
    }

    /// Whether a handler may raise that it took too long. That shows in no call.
    fn may_time_out(&self, began: &Began) -> bool {
        let mut scope = began.scope.iter().map(|number| self.handler(*number));
        scope.any(|handler| handler.raises && !handler.is_queued() && handler.may_be_late())
    }

    fn is_closed_before(&self, run: RunId, at: usize) -> bool {
        self.closing(run).is_some_and(|closing| closing < at)
    }
}

fn wants(handler: &HandlerPlan, what: What, method: &str) -> bool {
    if method == "on_sold" {
        return handler.hears_sales;
    }
    match handler.wants {
        Wants::All => true,
        Wants::NoTools => !method.starts_with("on_tool"),
        Wants::NoModels => !method.starts_with("on_llm"),
        Wants::Frame => what != What::Other,
    }
}
