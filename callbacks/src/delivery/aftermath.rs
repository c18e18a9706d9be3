//! What calls of handlers leave behind for the emission: what they failed with, and what they put
//! off.

use super::call::quietly;
use super::deferred::Turn;
use crate::EmitError;

/// What calls leave behind for their emission: next to nothing, mostly.
#[derive(Default)]
pub(crate) struct Aftermath(Option<Box<Left>>);

#[derive(Default)]
struct Left {
    /// What is to reach the emitter, with the id of the handler.
    failures: Vec<(usize, EmitError)>,
    /// What was put off.
    turns: Vec<Turn>,
}

impl Aftermath {
    pub(super) fn add(&mut self, others: Self) {
        if let Some(others) = others.0 {
            let left = self.0.get_or_insert_default();
            left.failures.extend(others.failures);
            left.turns.extend(others.turns);
        }
    }

    /// The failure of the handler with this id is to be raised.
    pub(super) fn fail(&mut self, handler: usize, error: EmitError) {
        let left = self.0.get_or_insert_default();
        left.failures.push((handler, error));
    }

    pub(super) fn owe(&mut self, turns: Vec<Turn>) {
        self.0.get_or_insert_default().turns.extend(turns);
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.0.is_none()
    }

    /// The event has reached all handlers, so what they put off may be done.
    pub(super) fn release(&mut self) {
        let turns = self.0.iter_mut().flat_map(|left| &mut left.turns);
        turns.for_each(Turn::release);
    }

    /// Has what was put off done by others. It can be waited for all the same.
    pub(super) fn hand_on(&mut self) {
        let turns = self.0.iter_mut().flat_map(|left| &mut left.turns);
        turns.for_each(Turn::hand_on);
    }

    /// What was put off, to be waited for.
    pub(crate) fn take_turns(&mut self) -> Vec<Turn> {
        let left = self.0.as_mut();
        left.map_or_else(Vec::new, |left| std::mem::take(&mut left.turns))
    }

    /// The failure of the handler that comes first in `order`.
    #[inline]
    pub(crate) fn raise(self, order: &[usize]) -> Result<(), Box<EmitError>> {
        match self.0 {
            Some(left) => first(left.failures, order).map_or(Ok(()), Err),
            None => Ok(()),
        }
    }
}

#[cold]
fn first(mut failures: Vec<(usize, EmitError)>, order: &[usize]) -> Option<Box<EmitError>> {
    failures.sort_by_key(|(failed, _)| order.iter().position(|id| id == failed));
    let mut failures = failures.into_iter();
    let first = failures.next();
    failures.for_each(|failure| quietly(|| drop(failure)));
    first.map(|(_, error)| Box::new(error))
}
