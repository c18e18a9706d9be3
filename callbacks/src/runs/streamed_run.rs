//! A run of a model together with what has arrived of its answer.

use std::fmt;
use std::mem;
use std::time::Duration;

use super::core::Core;
use super::kinds::Llm;
use crate::EmitError;
use crate::delivery::shown;
use crate::events::owned::AnyEvent;
use crate::events::{LlmEnd, LlmError, LlmNewToken};
use crate::payload::{Assembly, Chunk, LlmResult, RunError};

/// Corrects a result.
pub(super) type Amend = Box<dyn FnOnce(&mut LlmResult) + Send>;

/// A run that is open, and what has arrived of its answer. However it goes, its run closes with that.
pub(super) struct StreamedRun {
    core: Core<Llm>,
    pub(super) heard: Heard,
    assembly: Assembly,
    time_to_first_token: Option<Duration>,
    pub(super) amend: Option<Amend>,
}

/// What somebody listens to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    pub(super) token: bool,
    end: bool,
    pub(super) error: bool,
}

impl Heard {
    /// Whether what arrives is looked at.
    pub(super) fn chunk(self) -> bool {
        self.token || self.result()
    }

    /// Whether there is somebody to show the result to.
    fn result(self) -> bool {
        self.end || self.error
    }
}

impl StreamedRun {
    /// `None` if nobody can ever hear of the run.
    pub(super) fn of(core: Core<Llm>) -> Option<Self> {
        core.known()?;
        let heard = Heard {
            token: core.wants::<LlmNewToken<'_>>(),
            end: core.wants::<LlmEnd<'_>>(),
            error: core.wants::<LlmError<'_>>(),
        };
        Some(Self {
            core,
            heard,
            assembly: Assembly::default(),
            time_to_first_token: None,
            amend: None,
        })
    }

    /// Takes in what has arrived.
    pub(super) fn add(&mut self, chunk: &Chunk) {
        if !self.heard.result() {
            return;
        }
        if self.assembly.is_empty() {
            let since = self.core.ready_since();
            self.time_to_first_token = since.map(|ready| ready.elapsed());
        }
        self.assembly.add(chunk);
    }

    fn result(&mut self) -> LlmResult {
        let mut result = mem::take(&mut self.assembly).into_result();
        result.llm_output.time_to_first_token = self.time_to_first_token;
        result
    }

    /// What has arrived, if anything.
    fn partial(&mut self) -> Option<LlmResult> {
        let wanted = self.heard.error && !self.assembly.is_empty();
        wanted.then(|| self.result())
    }

    /// The event of its end, if anybody listens to it.
    pub(super) fn ending(&mut self) -> Option<AnyEvent> {
        if !self.heard.end {
            return None;
        }
        let amend = self.amend.take();
        // If it panics, what had arrived is still here.
        let kept = amend.is_some().then(|| self.assembly.clone());
        let mut result = self.result();
        if let (Some(amend), Some(kept)) = (amend, kept) {
            self.assembly = kept;
            amend(&mut result);
            self.assembly = Assembly::default();
        }
        self.core.ending(|| result)
    }

    /// The event of an error, if anybody listens to it.
    pub(super) fn failing(&mut self, error: RunError) -> Option<AnyEvent> {
        let partial = self.partial();
        self.core.failing(|| error, partial)
    }

    /// Tells the handlers what has arrived. An error closes the run, too.
    pub(super) async fn tell(
        self: Box<Self>,
        chunk: Chunk,
    ) -> Result<Option<Box<Self>>, EmitError> {
        match self.core.emit(LlmNewToken::of_chunk(&chunk)).await {
            Ok(()) => Ok(Some(self)),
            // Boxed, so that it takes no room where nothing fails.
            Err(failure) => Box::pin(self.refuse(failure)).await,
        }
    }

    async fn refuse(
        mut self: Box<Self>,
        failure: EmitError,
    ) -> Result<Option<Box<Self>>, EmitError> {
        let partial = self.partial();
        self.core.fail(shown(&failure), partial).await;
        Err(failure)
    }

    /// Closes the run with this event.
    pub(super) async fn close(
        mut self: Box<Self>,
        terminal: Option<AnyEvent>,
    ) -> Result<Option<Box<Self>>, EmitError> {
        self.core.close(terminal).await?;
        Ok(None)
    }
}

impl Drop for StreamedRun {
    fn drop(&mut self) {
        let partial = self.partial();
        self.core.abandon(partial);
    }
}

impl fmt::Debug for StreamedRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamedRun")
            .field("run", &self.core)
            .field("heard", &self.heard)
            .field("arrived", &self.assembly)
            .finish_non_exhaustive()
    }
}
