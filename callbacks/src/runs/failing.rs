//! Ending a run with an error: a builder that is also the future.

use super::core::Core;
use super::kinds::{Kind, Llm};
use crate::argument::Payload;
use crate::events::LlmError;
use crate::payload::{LlmResult, RunError};
use crate::{BoxFuture, EmitError};

/// A run about to end with an error. Made by [`RunGuard::error`](crate::RunGuard::error); `.await` it.
#[must_use = "the run does not end until this is awaited"]
#[derive(Debug)]
pub struct Failing<K: Kind, E> {
    core: Core<K>,
    error: E,
    partial: Option<LlmResult>,
}

impl<K: Kind, E> Failing<K, E> {
    pub(super) fn new(core: Core<K>, error: E) -> Self {
        Self {
            core,
            error,
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

impl<K: Kind, E: Into<RunError>> IntoFuture for Failing<K, E> {
    type Output = Result<(), EmitError>;
    type IntoFuture = BoxFuture<'static, Result<(), EmitError>>;

    fn into_future(self) -> Self::IntoFuture {
        let Self {
            mut core,
            error,
            partial,
        } = self;
        let terminal = core.failing(error, partial);
        Box::pin(async move { core.close(terminal).await })
    }
}
