//! What a stream and an iterator of a model's answer share: what becomes of each item on its way.

use std::fmt;

use super::core::Core;
use super::kinds::Llm;
use super::stream_error::StreamError;
use super::streamed_run::{Heard, StreamedRun};
use crate::payload::{Chunk, LlmResult, RunError};
use crate::{BoxFuture, EmitError};

/// Handlers being told of what came. It gives back the run, if that is still open.
pub(super) type Telling = BoxFuture<'static, Result<Option<Box<StreamedRun>>, EmitError>>;

/// The way of items of type `I`: [taken in](Self::take_in), [told](Self::told) to the handlers,
/// [given out](Self::give_out).
pub(super) struct Tap<I, F> {
    /// While it is open and somebody can hear of it.
    run: Option<Box<StreamedRun>>,
    chunk: F,
    read: fn(&mut F, &I, Heard) -> Came,
    /// What is given out when the handlers have been told.
    held: Option<I>,
    /// Nothing more is taken in. While the handlers are told of a chunk it is so unless they let it go
    /// on.
    over: bool,
    failure: Option<EmitError>,
    /// What makes an item of a failure.
    raise: Option<fn(EmitError) -> I>,
}

/// What an item is to the handlers.
enum Came {
    /// `None`: nothing, or nobody listens.
    Chunk(Option<Chunk>),
    /// `None`: nobody listens.
    Error(Option<RunError>),
}

/// What an item of a [stream](crate::RunGuard::stream) is to the handlers: a [`Chunk`], or `None` if it
/// is nothing to them.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what an item is to the handlers",
    label = "the closure returns neither a `Chunk` nor an `Option<Chunk>`",
    note = "return a `callbacks::Chunk`, such as `Chunk::text(..)`, or an `Option` of it"
)]
pub trait IntoChunk: sealed::Sealed {
    #[doc(hidden)]
    fn into_chunk(self) -> Option<Chunk>;
}

impl IntoChunk for Chunk {
    fn into_chunk(self) -> Option<Chunk> {
        Some(self)
    }
}

impl IntoChunk for Option<Chunk> {
    fn into_chunk(self) -> Self {
        self
    }
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for crate::payload::Chunk {}
    impl Sealed for Option<crate::payload::Chunk> {}
}

fn read<T, E, C, F, Via>(chunk: &mut F, item: &Result<T, E>, heard: Heard) -> Came
where
    E: StreamError<Via>,
    F: FnMut(&T) -> C,
    C: IntoChunk,
{
    match item {
        Ok(item) if heard.chunk() => Came::Chunk(chunk(item).into_chunk()),
        Ok(_) => Came::Chunk(None),
        Err(error) => Came::Error(heard.error.then(|| error.to_run_error())),
    }
}

impl<T, E, F> Tap<Result<T, E>, F> {
    pub(super) fn new<C, Via>(core: Core<Llm>, chunk: F) -> Self
    where
        E: StreamError<Via>,
        F: FnMut(&T) -> C,
        C: IntoChunk,
    {
        Self {
            run: StreamedRun::of(core).map(Box::new),
            chunk,
            read: read::<T, E, C, F, Via>,
            held: None,
            over: false,
            failure: None,
            raise: None,
        }
    }

    pub(super) fn raise(&mut self)
    where
        E: From<EmitError>,
    {
        self.raise = Some(|failure| Err(failure.into()));
    }
}

impl<I, F> Tap<I, F> {
    pub(super) fn amend(&mut self, amend: impl FnOnce(&mut LlmResult) + Send + 'static) {
        if let Some(run) = &mut self.run {
            run.amend = Some(Box::new(amend));
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    pub(super) fn failure(&self) -> Option<&EmitError> {
        self.failure.as_ref()
    }

    /// Takes in the next item, or that there is none. If there is something to tell the handlers,
    /// they have to be told before [it is given out](Self::give_out).
    pub(super) fn take_in(&mut self, came: Option<I>) -> Option<Telling> {
        self.over = came.is_none();
        self.held = came;
        // From here on, a panic in code of users closes the run.
        let mut run = self.run.take()?;
        let item = self.held.as_ref();
        let came = item.map(|item| (self.read)(&mut self.chunk, item, run.heard));
        Some(match came {
            Some(Came::Chunk(chunk)) => {
                if let Some(chunk) = &chunk {
                    run.add(chunk);
                }
                let Some(chunk) = chunk.filter(|_| run.heard.token) else {
                    self.run = Some(run);
                    return None;
                };
                self.over = true;
                Box::pin(run.tell(chunk))
            }
            Some(Came::Error(error)) => {
                let terminal = error.and_then(|error| run.failing(error));
                Box::pin(run.close(terminal))
            }
            None => {
                let terminal = run.ending();
                Box::pin(run.close(terminal))
            }
        })
    }

    /// The handlers were told.
    pub(super) fn told(&mut self, told: Result<Option<Box<StreamedRun>>, EmitError>) {
        match told {
            Ok(Some(run)) => {
                self.run = Some(run);
                self.over = false;
            }
            Ok(None) => {}
            // The handlers can hear no more. That is none of the reader's business.
            Err(closed @ EmitError::RunClosed) => {
                self.failure = Some(closed);
                self.over = self.held.is_none();
            }
            Err(failure) => {
                self.failure = Some(failure);
                if self.over {
                    self.held = None;
                }
            }
        }
    }

    /// The item that was taken in; at the end the failure, if that is to be one.
    pub(super) fn give_out(&mut self) -> Option<I> {
        self.held.take().or_else(|| {
            let raise = self.raise?;
            self.failure.take().map(raise)
        })
    }
}

impl<I, F> fmt::Debug for Tap<I, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap")
            .field("run", &self.run)
            .field("over", &self.over)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}
