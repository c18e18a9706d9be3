//! What surrounds the code that runs now: the callbacks of the run in whose scope it is.
//!
//! It belongs to the future, not to the thread: it is there while the future is polled, and where a
//! lane calls a method for an event that was emitted in it.

use std::any::Any;
use std::sync::Arc;

/// Some callbacks; what is below them need not know them.
pub(crate) type Ambient = Arc<dyn Any + Send + Sync>;

tokio::task_local! {
    static CURRENT: Option<Ambient>;
}

pub(crate) fn current() -> Option<Ambient> {
    CURRENT.try_with(Option::clone).ok()?
}

/// Polls the future within `ambient`.
pub(crate) fn scope<F: Future>(
    ambient: Option<Ambient>,
    future: F,
) -> impl Future<Output = F::Output> {
    CURRENT.scope(ambient, future)
}

/// Calls the function within `ambient`, if there is any.
pub(crate) fn call_in<R>(ambient: Option<Ambient>, call: impl FnOnce() -> R) -> R {
    match ambient {
        Some(_) => CURRENT.sync_scope(ambient, call),
        None => call(),
    }
}
