//! Stands in for the kinds of runs, of which there is one.

use crate::delivery::Registry;
use crate::events::owned::AnyEvent;
use crate::payload::RunError;

pub(crate) struct Family;

impl Family {
    pub(crate) fn wants_error(&self, _: &Registry) -> bool {
        true
    }

    pub(crate) fn error(&self, error: RunError, _response: Option<()>) -> AnyEvent {
        AnyEvent::Error(error.0)
    }
}
