//! Handlers are asked one after another, and what they decide is done.

use super::super::history::{Began, Emission, Left, Returned, What};
use super::super::plan::Verdict;
use super::{Broken, Called, Checks};

/// What was decided about a start.
enum Ruling {
    Go,
    Rewritten,
    Answered,
    /// By a handler that said so, or that failed.
    Stopped,
}

impl<'p> Checks<'p> {
    /// Those who were asked about a start, one after another.
    fn asked(&self, emission: Emission) -> Vec<Called<'p>> {
        let about = |called: &&Called<'_>| {
            called.call.what == What::Question && called.call.emission == Some(emission)
        };
        self.calls.iter().filter(about).copied().collect()
    }

    /// Those who are to be asked, in the order of registration.
    fn deciders(&self, began: &Began) -> Vec<usize> {
        let asks = matches!(began.method, "on_llm_start" | "on_tool_start");
        let scope = began.scope.iter().copied();
        let deciders = scope.filter(|number| asks && self.handler(*number).answers);
        deciders.collect()
    }

    /// Whether it is a start that a handler has answered for, where that is honoured.
    pub(super) fn is_answered(&self, emission: Emission) -> bool {
        let is_answered = matches!(ruling(&self.asked(emission)), Ruling::Answered);
        is_answered && self.emissions[&emission].asks
    }

    /// What an emission inside a callback returns.
    pub(super) fn decided_inside(&self, began: &Began) -> Returned {
        if self.deciders(began).is_empty() {
            Returned::Ok
        } else {
            Returned::Stopped
        }
    }

    /// What an emission returns for which nobody raises anything.
    pub(super) fn decided(&self, emission: Emission) -> Returned {
        let asked = self.asked(emission);
        match (ruling(&asked), self.emissions[&emission].asks) {
            (Ruling::Go, _) | (Ruling::Rewritten, true) => Returned::Ok,
            (Ruling::Rewritten | Ruling::Answered, false) | (Ruling::Stopped, _) => {
                Returned::Stopped
            }
            (Ruling::Answered, true) => self.raised_at_the_end(emission),
        }
    }

    /// The run ends with the answer; who raises then has the last word.
    fn raised_at_the_end(&self, emission: Emission) -> Returned {
        let began = self.emissions[&emission].began;
        let fails = |number: &usize| {
            self.calls.iter().any(|it| {
                let is_end = it.call.what == What::Terminal && it.call.run.id == began.run.id;
                it.call.handler == *number && is_end && it.fails()
            })
        };
        let raises = |number: &&usize| {
            let handler = self.handler(**number);
            handler.raises && !handler.is_queued() && fails(number)
        };
        let first = began.scope.iter().find(raises);
        first.map_or(Returned::Ok, |number| Returned::Raised(*number))
    }
}

fn ruling(asked: &[Called<'_>]) -> Ruling {
    let mut ruling = Ruling::Go;
    for called in asked {
        match called.left {
            Some((_, Left::Answered(Verdict::GoesOn))) => {}
            Some((_, Left::Answered(Verdict::Rewrites))) => ruling = Ruling::Rewritten,
            Some((_, Left::Answered(Verdict::Answers))) => return Ruling::Answered,
            _ => return Ruling::Stopped,
        }
    }
    ruling
}

/// All who want to be are asked, in the order of registration, until one settles it; each about what it has
/// become, before the run starts.
pub(super) fn questions_are_asked_in_order(checks: &Checks<'_>, broken: &mut Broken) {
    let rule = "handlers are asked one after another";
    let told = checks.told();
    for (emission, emitted) in &checks.emissions {
        let (began, asked) = (emitted.began, checks.asked(*emission));
        let starts = told.get(emission).map(Vec::as_slice).unwrap_or_default();
        if began.what != What::Start {
            continue;
        }
        let mut expected = checks.deciders(began);
        if began.within.is_some() {
            expected.clear();
        }
        let were: Vec<_> = asked.iter().map(|it| it.call.handler).collect();
        let is_late = |number: &usize| checks.handler(*number).may_be_late();
        let went_on = matches!(ruling(&asked), Ruling::Go | Ruling::Rewritten);
        // Where the start was told, or returned, all had their say.
        let is_whole = went_on
            && !expected.iter().any(is_late)
            && !matches!(emitted.returned, Some((_, Returned::Closed)))
            && (emitted.returned.is_some() || !starts.is_empty());
        if !is_whole {
            expected.truncate(were.len());
        }
        if were != expected {
            broken.by(rule, (began, were, expected));
            continue;
        }
        let asked_late = were.iter().any(is_late);
        let mut rewritten_by = Vec::new();
        for (at, called) in asked.iter().enumerate() {
            if called.call.rewritten_by != rewritten_by {
                broken.by(rule, (called, rewritten_by.clone()));
            }
            match called.left.map(|(_, how)| how) {
                Some(Left::Answered(Verdict::GoesOn)) => {}
                Some(Left::Answered(Verdict::Rewrites)) => rewritten_by.push(called.call.handler),
                _ if at + 1 == asked.len() => {}
                _ => broken.by(rule, ("it was settled", called)),
            }
            let next = asked.get(at + 1).into_iter().chain(starts);
            let next = next.map(|next| next.entered).min().unwrap_or(usize::MAX);
            let is_over = called.left.is_some_and(|(left, _)| left < next);
            if !is_over && !is_late(&called.call.handler) {
                broken.by(rule, ("what comes next overtakes", called));
            }
        }
        // Who rewrites when its time is over does not rewrite.
        let mut others = starts
            .iter()
            .filter(|it| it.call.rewritten_by != rewritten_by);
        if let Some(start) = others.next().filter(|_| !asked_late) {
            broken.by(rule, (start, rewritten_by));
        }
    }
}

/// What is answered for ends with the answer, what is stopped with an error.
pub(super) fn decisions_are_honoured(checks: &Checks<'_>, broken: &mut Broken) {
    for (emission, emitted) in &checks.emissions {
        let Some((_, returned)) = emitted.returned else {
            continue;
        };
        let run = emitted.began.run.id;
        let is_answered = checks.is_answered(*emission);
        let late = |number: &usize| checks.handler(*number).may_be_late();
        let is_certain = !emitted.began.scope.iter().any(late);
        if is_certain && emitted.is_answered != (is_answered && *returned == Returned::Ok) {
            broken.by("what is answered is honoured", emitted.began);
        }
        if emitted.began.what != What::Start {
            continue;
        }
        let ends = checks.calls.iter().map(|called| called.call);
        let mut ends = ends.filter(|call| call.run.id == run && call.what == What::Terminal);
        let is_wrong = ends.find(|call| match returned {
            Returned::Stopped => call.kind.is_none(),
            Returned::Ok if is_answered => call.kind.is_some(),
            _ => false,
        });
        if let Some(end) = is_wrong {
            broken.by("what is decided is done", (emitted.began, returned, end));
        }
    }
}
