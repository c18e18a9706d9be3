//! The two flavours of starts and guards: those that are awaited, and those that block.

use std::fmt::Debug;

/// How a [`Start`](super::Start) and a [`RunGuard`](super::RunGuard) are used: [`Async`] or
/// [`Blocking`].
pub trait Flavour: sealed::Sealed + Debug + Send + Sync + 'static {}

/// They are awaited.
#[derive(Debug)]
pub enum Async {}

/// They block the thread until the handlers are done. Made by
/// [`Callbacks::blocking`](crate::Callbacks::blocking).
#[derive(Debug)]
pub enum Blocking {}

impl Flavour for Async {}
impl Flavour for Blocking {}

pub(crate) mod sealed {
    pub trait Sealed {
        const BLOCKING: bool;
    }

    impl Sealed for super::Async {
        const BLOCKING: bool = false;
    }

    impl Sealed for super::Blocking {
        const BLOCKING: bool = true;
    }
}
