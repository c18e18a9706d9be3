//! Where threads meet. What can go wrong in that depends on who comes first, so `tests/models` puts
//! its own in the place of this file, and runs the files that use it through all the orders.

use std::sync::PoisonError;

pub(super) use std::sync::Condvar;
pub(crate) use std::sync::atomic::AtomicBool;
pub(crate) use std::sync::{Mutex, MutexGuard};
pub(super) use std::thread;
use std::time::Duration;

/// In delivery, no code of a user runs under a lock, so none is poisoned. Where a handler locks what is a user's,
/// such as a writer or the state of an exclusive one, a panic there is no reason to stop the others either.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits while the condition holds, but no longer than this.
pub(super) fn wait_while<'a, T>(
    wake: &Condvar,
    guard: MutexGuard<'a, T>,
    timeout: Duration,
    condition: impl FnMut(&mut T) -> bool,
) -> MutexGuard<'a, T> {
    let waited = wake.wait_timeout_while(guard, timeout, condition);
    waited.unwrap_or_else(PoisonError::into_inner).0
}
