//! Ending a run with an error: a builder that is also the future.

use super::guard::RunGuard;
use super::kinds::{Kind, Llm};
use crate::argument::Payload;
use crate::events::LlmError;
use crate::payload::{LlmResult, RunError};
use crate::{BoxFuture, EmitError};

/// A run about to end with an error. Made by [`RunGuard::error`]; `.await` it.
#[must_use = "the run does not end until this is awaited"]
#[derive(Debug)]
pub struct Failing<K: Kind, E> {
    guard: RunGuard<K>,
    error: E,
    partial: Option<LlmResult>,
}

impl<K: Kind, E> Failing<K, E> {
    pub(super) fn new(guard: RunGuard<K>, error: E) -> Self {
        Self {
            guard,
            error,
            partial: None,
        }
    }
}

impl<E> Failing<Llm, E> {
    /// With what had arrived of the answer.
    pub fn partial(mut self, response: impl Payload<LlmResult>) -> Self {
        let heard = self.guard.wants::<LlmError<'_>>();
        self.partial = heard.then(|| response.into_cow().into_owned());
        self
    }
}

impl<K: Kind, E: Into<RunError>> IntoFuture for Failing<K, E> {
    type Output = Result<(), EmitError>;
    type IntoFuture = BoxFuture<'static, Result<(), EmitError>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self {
            guard,
            error,
            partial,
        } = self;
        let terminal = guard
            .known()
            .filter(|node| node.family.wants_error(&node.registry))
            .map(|node| node.family.error(error.into(), partial));
        Box::pin(guard.close(terminal))
    }
}
