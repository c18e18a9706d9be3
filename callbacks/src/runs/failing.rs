//! Ending a run with an error: a builder that is also the future.

use super::core::Core;
use super::kinds::{Kind, Llm};
use crate::argument::Payload;
use crate::events::LlmError;
use crate::payload::{IntoRunError, LlmResult, RunError};
use crate::{BoxFuture, EmitError};

/// A run about to end with an error. Made by [`RunGuard::error`](crate::RunGuard::error); `.await` it.
#[must_use = "the run does not end until this is awaited"]
#[derive(Debug)]
pub struct Failing<K: Kind, E> {
    core: Core<K>,
    error: E,
    into_run_error: fn(E) -> RunError,
    partial: Option<LlmResult>,
}

impl<K: Kind, E> Failing<K, E> {
    pub(super) fn new<Via>(core: Core<K>, error: E) -> Self
    where
        E: IntoRunError<Via>,
    {
        Self {
            core,
            error,
            into_run_error: E::into_run_error,
            partial: None,
        }
    }
}

impl<E> Failing<Llm, E> {
    /// With what had arrived of the answer.
    pub fn partial(mut self, response: impl Payload<LlmResult>) -> Self {
        let heard = self.core.wants::<LlmError<'_>>();
        self.partial = heard.then(|| response.into_cow().into_owned());
        self
    }
}

impl<K: Kind, E> IntoFuture for Failing<K, E> {
    type Output = Result<(), EmitError>;
    type IntoFuture = BoxFuture<'static, Result<(), EmitError>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self {
            mut core,
            error,
            into_run_error,
            partial,
        } = self;
        let terminal = core.failing(|| into_run_error(error), partial);
        Box::pin(async move { core.close(terminal).await })
    }
}
