//! How an emitted event reaches the handlers that want it.
//!
//! The path of one event: the [`Dispatcher`] of its set knows, for each event, who listens and how;
//! [`deliver`] numbers it, fills the lanes, calls inline handlers, polls async ones, and waits.

mod call;
mod dispatcher;
mod emission;
mod lane;
mod registry;
mod runtime;
mod sequencer;
mod waiting;
mod workers;

pub(crate) use call::quietly;
pub(crate) use dispatcher::Entry;
pub(crate) use emission::{Place, Site, deliver, emit};
pub(crate) use registry::{Reach, Registry};
pub(crate) use runtime::own_runtime;
pub(crate) use sequencer::Sequencer;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// No code of a user runs under a lock of this crate, so none is ever poisoned.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
