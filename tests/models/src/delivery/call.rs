//! Stands in for the calls of handlers. Nothing is put off in a callback here; a model puts off what
//! it wants to.

use std::panic::{AssertUnwindSafe, catch_unwind};

pub(crate) fn quietly(run: impl FnOnce()) {
    contained(run);
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

pub(super) fn contained(run: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
        std::mem::forget(panic);
    }
}
