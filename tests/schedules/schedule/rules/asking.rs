//! The rules of questions: handlers are asked one after another, and what they decide is done.

use super::super::history::{Call, Emission, Left, Returned, What};
use super::super::plan::Verdict;
use super::{Called, Checks};

/// What was decided about a start.
enum Ruling {
    Go,
    Rewritten,
    Answered,
    /// By a handler that said so, or that failed.
    Stopped,
}

impl Checks<'_> {
    /// Those who were asked about a start, one after another.
    fn asked(&self, emission: Emission) -> Vec<&Called> {
        let about = |called: &&Called| {
            called.call.what == What::Question && called.call.emission == Some(emission)
        };
        self.calls.iter().filter(about).collect()
    }

    fn ruling(&self, asked: &[&Called]) -> Ruling {
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

    /// Whether it is a start that a handler has answered for, where that is honoured.
    pub(super) fn is_answered(&self, emission: Emission) -> bool {
        let is_answered = matches!(self.ruling(&self.asked(emission)), Ruling::Answered);
        is_answered && self.emissions[&emission].asks
    }

    /// What an emission returns for which nobody raises anything.
    pub(super) fn decided(&self, emission: Emission) -> Returned {
        let asked = self.asked(emission);
        match (self.ruling(&asked), self.emissions[&emission].asks) {
            (Ruling::Go, _) | (Ruling::Rewritten, true) => Returned::Ok,
            (Ruling::Rewritten | Ruling::Answered, false) | (Ruling::Stopped, _) => {
                Returned::Stopped
            }
            (Ruling::Answered, true) => self.raised_at_the_end(emission, &asked),
        }
    }

    /// The run ends with the answer; who raises then has the last word.
    fn raised_at_the_end(&self, emission: Emission, asked: &[&Called]) -> Returned {
        let run = asked.first().map(|called| called.call.run);
        let fails = |number: &usize| {
            self.calls.iter().any(|called| {
                let is_end = called.call.what == What::Terminal && Some(called.call.run) == run;
                let failed = called.left.is_none_or(|(_, how)| how != Left::Well);
                called.call.handler == *number && is_end && failed
            })
        };
        let raises = |number: &&usize| {
            let handler = self.handler(**number);
            handler.raises && !handler.is_queued() && fails(number)
        };
        let scope = &self.emissions[&emission].scope;
        let first = scope.iter().find(raises);
        first.map_or(Returned::Ok, |number| Returned::Raised(*number))
    }

    /// All who want to be are asked, in the order of registration, until one settles it; each about what it has
    /// become, before the run starts.
    pub(super) fn questions_are_asked_in_order(&mut self) {
        let mut broken = Vec::new();
        for (emission, calls) in self.all_of_emission() {
            let emitted = &self.emissions[&emission];
            let asked = self.asked(emission);
            let starts = calls.iter().filter(|it| it.call.what == What::Start);
            let (first, starts) = (calls[0].call.method, starts.collect::<Vec<_>>());
            let asks = starts.is_empty() || first.contains("llm") || first.contains("tool");
            if asked.is_empty() && (starts.is_empty() || !asks) {
                continue;
            }
            let mut expected = emitted.scope.clone();
            expected.retain(|number| self.handler(*number).answers);
            let were = asked.iter().map(|it| it.call.handler).collect::<Vec<_>>();
            if emitted.within.is_some() {
                // Inside a callback, a question is a stop.
                expected.clear();
            }
            let is_late = |number: &usize| self.handler(*number).may_be_late();
            let went_on = matches!(self.ruling(&asked), Ruling::Go | Ruling::Rewritten);
            // Where the start was heard, or returned, all had their say.
            let is_whole = went_on
                && !expected.iter().any(is_late)
                && !matches!(emitted.returned, Some((_, Returned::Closed)))
                && (emitted.returned.is_some() || !starts.is_empty());
            if !is_whole {
                expected.truncate(were.len());
            }
            if were != expected {
                broken.push(format!("{emission}: asked {were:?}, not {expected:?}"));
            }
            let asked_late = were.iter().any(is_late);
            let mut rewritten_by = Vec::new();
            for (at, called) in asked.iter().enumerate() {
                if called.call.rewritten_by != rewritten_by {
                    broken.push(format!("{rewritten_by:?} rewrote {:?}", called.call));
                }
                let how = called.left.map(|(_, how)| how);
                let is_last = at + 1 == asked.len();
                match how {
                    Some(Left::Answered(Verdict::GoesOn)) => {}
                    Some(Left::Answered(Verdict::Rewrites)) => {
                        rewritten_by.push(called.call.handler);
                    }
                    _ if is_last => {}
                    _ => broken.push(format!("it was settled by {:?}", called.call)),
                }
                let next = asked.get(at + 1).map(|next| next.entered);
                let next = next
                    .into_iter()
                    .chain(starts.iter().map(|it| it.entered))
                    .min();
                let is_over = called
                    .left
                    .is_some_and(|(left, _)| next.is_none_or(|it| left < it));
                if !is_over && !is_late(&called.call.handler) {
                    broken.push(format!("what comes next overtakes {:?}", called.call));
                }
            }
            for start in starts {
                // Who rewrites when its time is over does not rewrite.
                if start.call.rewritten_by != rewritten_by && !asked_late {
                    broken.push(format!("{rewritten_by:?} rewrote {:?}", start.call));
                }
            }
        }
        for question in broken {
            self.breaks("handlers are asked one after another", question);
        }
    }

    /// What is answered for ends with the answer, what is stopped with an error.
    pub(super) fn decisions_are_honoured(&mut self) {
        let mut broken = Vec::new();
        for (emission, emitted) in &self.emissions {
            let asked = self.asked(*emission);
            let Some((_, returned)) = &emitted.returned else {
                continue;
            };
            let Some(run) = asked.first().map(|called| called.call.run) else {
                continue;
            };
            let ends = self.calls.iter().map(|called| &called.call);
            let mut ends = ends.filter(|call| call.run == run && call.what == What::Terminal);
            let is_answered = self.is_answered(*emission);
            let late = |number: &usize| self.handler(*number).may_be_late();
            if emitted.is_answered && !is_answered && !emitted.scope.iter().any(late) {
                broken.push(format!("{emission}: nobody answered"));
            }
            if emitted.is_answered != (is_answered && *returned == Returned::Ok) {
                broken.push(format!("{emission}: is answered, {}", emitted.is_answered));
            }
            let is_wrong = |call: &&Call| match returned {
                Returned::Stopped => !call.method.ends_with("_error"),
                Returned::Ok if is_answered => !call.method.ends_with("_end"),
                _ => false,
            };
            broken.extend(
                ends.find(is_wrong)
                    .map(|call| format!("{returned:?}: {call:?}")),
            );
        }
        for start in broken {
            self.breaks("what is decided is done", start);
        }
    }
}
