//! A model's answer as an iterator, for code that waits with its thread.

use std::fmt;

use super::flavour::Blocking;
use super::guard::RunGuard;
use super::kinds::Llm;
use super::stream_error::StreamError;
use super::tap::{IntoChunk, Tap};
use crate::EmitError;
use crate::delivery::block_on;
use crate::payload::LlmResult;

impl<D> RunGuard<Llm, Blocking, D> {
    /// Streams the model's answer: gives out the same items, tells the handlers of each, and ends the
    /// run when `inner` ends. In everything it is like the [async one](RunGuard::stream), which says
    /// more.
    ///
    /// ```
    /// use callbacks::{BoxError, Callbacks, Chunk, LlmResult, Serialized, callback_handler};
    ///
    /// struct Printer;
    ///
    /// #[callback_handler]
    /// impl Printer {
    ///     fn on_llm_end(&self, response: &LlmResult) {
    ///         println!("{}", response.text());
    ///     }
    /// }
    ///
    /// static MODEL: Serialized = Serialized::new("MyModel");
    /// let callbacks = Callbacks::new().with(Printer);
    /// let run = callbacks.blocking().llm_start(&MODEL, || vec!["Why?".to_owned()]).start()?;
    ///
    /// let words = [Ok::<_, BoxError>("Be"), Ok("cause")];
    /// for word in run.stream(words, |word| Chunk::text(*word)) {
    ///     println!("{}", word?);
    /// } // and `Because`
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn stream<I, F, T, E, C, Via>(
        self,
        inner: I,
        chunk: F,
    ) -> LlmIter<I::IntoIter, F, Result<T, E>>
    where
        I: IntoIterator<Item = Result<T, E>>,
        F: FnMut(&T) -> C,
        C: IntoChunk,
        E: StreamError<Via>,
    {
        LlmIter {
            inner: inner.into_iter(),
            tap: Tap::new(self.core, chunk),
        }
    }
}

/// A model's answer as it is read, by code that waits with its thread. Made by
/// [`RunGuard::stream`].
///
/// It is a [`LlmStream`](crate::LlmStream) as an iterator, and has the same methods. To read it may panic as
/// [`BlockingCallbacks`](crate::BlockingCallbacks#panics) may.
#[must_use = "an iterator does nothing unless it is read; dropped, its run closes with an error"]
pub struct LlmIter<I: Iterator, F, J = <I as Iterator>::Item> {
    inner: I,
    tap: Tap<J, F>,
}

impl<I: Iterator<Item = J>, F, J> LlmIter<I, F, J> {
    /// Corrects the result that the run ends with; see [`LlmStream::amend`](crate::LlmStream::amend).
    pub fn amend(mut self, amend: impl FnOnce(&mut LlmResult) + Send + 'static) -> Self {
        self.tap.amend(amend);
        self
    }

    /// What an emission failed with, until it has been given out; see
    /// [`LlmStream::failure`](crate::LlmStream::failure).
    #[must_use]
    pub fn failure(&self) -> Option<&EmitError> {
        self.tap.failure()
    }
}

impl<I: Iterator<Item = Result<T, E>>, F, T, E> LlmIter<I, F, Result<T, E>> {
    /// Gives out what an emission failed with as the last item, instead of ending silently; see
    /// [`LlmStream::raise`](crate::LlmStream::raise).
    pub fn raise(mut self) -> Self
    where
        E: From<EmitError>,
    {
        self.tap.raise();
        self
    }
}

impl<I: Iterator, F, J> fmt::Debug for LlmIter<I, F, J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LlmIter")
            .field("tap", &self.tap)
            .finish_non_exhaustive()
    }
}

impl<I: Iterator<Item = J>, F, J> Iterator for LlmIter<I, F, J> {
    type Item = J;

    fn next(&mut self) -> Option<J> {
        if !self.tap.is_over() {
            let came = self.inner.next();
            if let Some(telling) = self.tap.take_in(came) {
                let told = block_on(telling);
                self.tap.told(told);
            }
        }
        self.tap.give_out()
    }
}
