//! Stands in for the calls of handlers. Nothing is put off in a callback here; a model puts off what
//! it wants to.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

pub(crate) fn quietly(run: impl FnOnce()) {
    forget(catch_unwind(AssertUnwindSafe(run)));
}

pub(crate) fn inside() -> bool {
    false
}

pub(crate) fn holds() -> bool {
    false
}

pub(crate) fn owe(_: super::Turn) {
    unreachable!("that is for a callback");
}

pub(super) fn forget(outcome: thread::Result<()>) {
    if let Err(panic) = outcome {
        std::mem::forget(panic);
    }
}
