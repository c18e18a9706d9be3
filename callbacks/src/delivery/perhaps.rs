//! A future of what there may be nothing of: then it is done, without a look at what else it could be.

use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::EmitError;

pin_project! {
    /// Its error is boxed up to here. An error is large, and where there may be one, room for it is
    /// copied even where there is none.
    pub(crate) struct Perhaps<F> {
        #[pin]
        work: Option<F>,
    }
}

impl<F> Perhaps<F> {
    #[inline]
    pub(crate) fn new(work: Option<F>) -> Self {
        Self { work }
    }
}

impl<F: Future<Output = Result<(), Box<EmitError>>>> Future for Perhaps<F> {
    type Output = Result<(), EmitError>;

    #[allow(
        clippy::inline_always,
        reason = "with what it must not look at in it, it is too large to be inlined otherwise"
    )]
    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().work.as_pin_mut() {
            None => Poll::Ready(Ok(())),
            Some(work) => work.poll(cx).map_err(|error| *error),
        }
    }
}
