//! A model's answer as a stream, which the handlers follow as it is read.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use pin_project_lite::pin_project;

use super::flavour::Async;
use super::guard::RunGuard;
use super::kinds::Llm;
use super::stream_error::StreamError;
use super::tap::{IntoChunk, Tap, Telling};
use crate::EmitError;
use crate::payload::LlmResult;

impl<D> RunGuard<Llm, Async, D> {
    /// Streams the model's answer: gives out the same items, tells the handlers of each, and ends the
    /// run when `inner` ends.
    ///
    /// `chunk` says what an item is to the handlers: a [`Chunk`](crate::Chunk), or `None` if it is
    /// nothing, such as a keep-alive. It is called only if somebody listens to
    /// [`LlmNewToken`](crate::events::LlmNewToken), [`LlmEnd`](crate::events::LlmEnd) or
    /// [`LlmError`](crate::events::LlmError) of this run.
    ///
    /// ```
    /// use callbacks::{BoxError, Callbacks, Chunk, Message, Serialized};
    /// use futures_core::Stream;
    /// # use callbacks::{LlmResult, callback_handler};
    /// # use futures_util::{TryStreamExt, stream};
    /// #
    /// # async fn request(messages: &[Message]) -> impl Stream<Item = Result<Delta, BoxError>> + use<> {
    /// #     let delta = |(text, stop): (&str, Option<&str>)| Delta { text: text.into(), stop: stop.map(Into::into) };
    /// #     stream::iter([("Be", None), ("cause", None), (".", Some("stop"))].map(delta).map(Ok))
    /// # }
    ///
    /// /// A framework's own.
    /// struct Delta {
    ///     text: String,
    ///     stop: Option<String>,
    /// }
    ///
    /// async fn answer(
    ///     messages: &[Message],
    ///     callbacks: &Callbacks,
    /// ) -> Result<impl Stream<Item = Result<Delta, BoxError>> + use<>, BoxError> {
    ///     static MODEL: Serialized = Serialized::new("MyModel");
    ///     let run = callbacks.chat_model_start(&MODEL, messages).await?;
    ///     let deltas = request(messages).await;
    ///     let deltas = run.stream(deltas, |delta| match &delta.stop {
    ///         Some(stop) => Chunk::text(&delta.text).with_extra("finish_reason", &**stop),
    ///         None => Chunk::text(&delta.text),
    ///     });
    ///     Ok(deltas.raise()) // an error of a handler, too
    /// }
    /// #
    /// # struct Last;
    /// # #[callback_handler]
    /// # impl Last {
    /// #     fn on_llm_end(&self, response: &LlmResult) {
    /// #         assert_eq!(response.text(), "Because.");
    /// #         assert_eq!(response.generations[0][0].finish_reason.as_deref(), Some("stop"));
    /// #     }
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// # let callbacks = Callbacks::new().with(callbacks::handler(Last).raise_errors());
    /// # let mut deltas = answer(&[Message::human("Why?")], &callbacks).await?;
    /// # assert_eq!(deltas.try_collect::<Vec<_>>().await?.len(), 3);
    /// # Ok::<(), BoxError>(())
    /// # })?;
    /// # Ok::<(), BoxError>(())
    /// ```
    ///
    /// # What the handlers hear
    ///
    /// * Of each item one [`LlmNewToken`](crate::events::LlmNewToken). The item is given out when the
    ///   handlers that are waited for are done, so a slow one slows the stream down.
    /// * When `inner` ends, the [`LlmEnd`](crate::events::LlmEnd), with [the result](#the-result) put
    ///   together from all chunks.
    /// * Where an item is an error, an [`LlmError`](crate::events::LlmError) with that and with what
    ///   had arrived. Then the item is given out. If others follow, they are given out and nothing
    ///   else: the run is over.
    /// * When the stream is dropped before its end, an [`LlmError`](crate::events::LlmError) of kind
    ///   [`Dropped`](crate::ErrorKind::Dropped) (or [`Panicked`](crate::ErrorKind::Panicked)), with
    ///   what had arrived. Nobody waits for that. The end is the `None` after the last item: read on to
    ///   it, even if an item says that it is the last.
    /// * When a run around this one closes before, an [`LlmError`](crate::events::LlmError) of kind
    ///   [`Abandoned`](crate::ErrorKind::Abandoned), without what had arrived.
    ///
    /// Nothing is emitted unless the stream is read. Who stops waiting for an item while the handlers
    /// are told, and reads on later, misses nothing.
    ///
    /// # The result
    ///
    /// * There is one [`Generation`](crate::Generation) for each [choice](crate::Chunk::choice), with the
    ///   texts in one, and a [`Message`](crate::Message) with that and the tool calls. Reasoning is
    ///   in the message's `extra["reasoning"]`.
    /// * Pieces of tool calls with the same `index` are one call; without an `index` those with the
    ///   same `id`. Those without either belong to the last one, but one with a name, after one that has
    ///   a name, begins another. Arguments that are no JSON in the end stay a text.
    /// * Of the tokens used, each number is the one that came last: providers tell them once or as
    ///   they grow, and never in parts.
    /// * Of the chunks' `extra`, `finish_reason` is in the generation; `model` or `model_name` and
    ///   `id` or `response_id` are in the [`LlmOutput`](crate::LlmOutput); anything else is in the
    ///   generation's `info`. What comes later is right.
    /// * [`time_to_first_token`](crate::LlmOutput::time_to_first_token) is the time from the start of
    ///   the run, when its handlers were done, to the first chunk.
    ///
    /// What only the framework knows when the stream is over, [`amend`](LlmStream::amend) adds.
    ///
    /// # Errors
    ///
    /// `inner` may fail with errors of [many types](StreamError). What an emission fails with is
    /// something else: after it the stream just ends, and [`LlmStream::failure`] says why. Where the
    /// type of the errors has room for it, as a [`BoxError`](crate::BoxError) has, write
    /// [`.raise()`](LlmStream::raise), and the reader gets it as the last item.
    pub fn stream<S, F, T, E, C, Via>(self, inner: S, chunk: F) -> LlmStream<S, F, Result<T, E>>
    where
        S: Stream<Item = Result<T, E>>,
        F: FnMut(&T) -> C,
        C: IntoChunk,
        E: StreamError<Via>,
    {
        LlmStream {
            inner,
            tap: Tap::new(self.core, chunk),
            telling: None,
        }
    }
}

pin_project! {
    /// A model's answer as it is read, for the reader and for the handlers. Made by
    /// [`RunGuard::stream`], where is said what they hear.
    ///
    /// The items are those of the stream inside. It is over when that is over, or when an emission
    /// failed; from then on it gives out `None`.
    ///
    /// ```
    /// use callbacks::{BoxError, Callbacks, Chunk, LlmStream, Serialized};
    /// use futures_util::{StreamExt, stream};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// static MODEL: Serialized = Serialized::new("MyModel");
    /// let run = Callbacks::new().llm_start(&MODEL, || vec!["Why?".to_owned()]).await?;
    ///
    /// // it has a name, so it can be kept in a struct
    /// struct Answer {
    ///     words: LlmStream<stream::Iter<std::vec::IntoIter<Result<&'static str, BoxError>>>, fn(&&str) -> Chunk>,
    /// }
    ///
    /// let words = stream::iter(vec![Ok("Be"), Ok("cause")]);
    /// let mut answer = Answer { words: run.stream(words, |word| Chunk::text(*word)) };
    /// assert_eq!(answer.words.next().await.transpose()?, Some("Be"));
    /// # Ok::<(), BoxError>(())
    /// # })?;
    /// # Ok::<(), BoxError>(())
    /// ```
    #[must_use = "a stream does nothing unless it is read; dropped, its run closes with an error"]
    pub struct LlmStream<S: Stream, F, I = <S as Stream>::Item> {
        #[pin]
        inner: S,
        tap: Tap<I, F>,
        telling: Option<Telling>,
    }
}

impl<S: Stream<Item = I>, F, I> LlmStream<S, F, I> {
    /// Corrects the result that the run ends with: called with it when the stream has come to its
    /// end, if somebody listens to [`LlmEnd`](crate::events::LlmEnd). The last one given counts.
    ///
    /// ```
    /// # use callbacks::{LlmResult, callback_handler};
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    ///
    /// use callbacks::{BoxError, Callbacks, Chunk, Serialized};
    /// use futures_util::{TryStreamExt, stream};
    ///
    /// # struct Last;
    /// # #[callback_handler]
    /// # impl Last {
    /// #     fn on_llm_end(&self, response: &LlmResult) {
    /// #         assert_eq!(response.usage().output_tokens, Some(2));
    /// #     }
    /// # }
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// # let callbacks = Callbacks::new().with(callbacks::handler(Last).raise_errors());
    /// # let words = stream::iter([Ok("Be"), Ok::<_, BoxError>("cause")]);
    /// static MODEL: Serialized = Serialized::new("MyModel");
    /// let run = callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]).await?;
    ///
    /// let used = Arc::new(AtomicU64::new(0)); // counted elsewhere
    /// # used.store(2, Ordering::Relaxed);
    /// let words = run.stream(words, |word| Chunk::text(*word)).amend(move |result| {
    ///     result.llm_output.token_usage.output_tokens = Some(used.load(Ordering::Relaxed));
    /// });
    /// # words.raise().try_collect::<Vec<_>>().await?;
    /// # Ok::<(), BoxError>(())
    /// # })?;
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn amend(mut self, amend: impl FnOnce(&mut LlmResult) + Send + 'static) -> Self {
        self.tap.amend(amend);
        self
    }

    /// What an emission failed with, until it has been [given out](Self::raise).
    ///
    /// A handler that was registered with [`raise_errors`](crate::Configured::raise_errors) and fails
    /// with a token stops the stream: the run closes with that error, and neither the item of the token
    /// nor any other is given out. What such a handler fails with when the run ends, or fails with an
    /// item, comes after the last item.
    ///
    /// Where a run around this one is closed before the stream is over, this one is closed with it, and
    /// its handlers hear nothing more. The items are given out all the same; that the run was
    /// [closed](EmitError::RunClosed) is the failure.
    ///
    /// ```
    /// use callbacks::{BoxError, Callbacks, Chunk, EmitError, Serialized, callback_handler, handler};
    /// use futures_util::{StreamExt, stream};
    ///
    /// struct Budget;
    ///
    /// #[callback_handler]
    /// impl Budget {
    ///     fn on_llm_new_token(&self) -> Result<(), &'static str> {
    ///         Err("too expensive")
    ///     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// # static MODEL: Serialized = Serialized::new("MyModel");
    /// let callbacks = Callbacks::new().with(handler(Budget).raise_errors());
    /// let run = callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]).await?;
    ///
    /// let words = stream::iter([Ok("Be"), Ok::<_, BoxError>("cause")]);
    /// let mut words = run.stream(words, |word| Chunk::text(*word));
    /// assert!(words.next().await.is_none());
    /// assert!(matches!(words.failure(), Some(EmitError::Raised { .. })));
    /// # Ok::<(), BoxError>(())
    /// # })?;
    /// # Ok::<(), BoxError>(())
    /// ```
    #[must_use]
    pub fn failure(&self) -> Option<&EmitError> {
        self.tap.failure()
    }
}

impl<S: Stream<Item = Result<T, E>>, F, T, E> LlmStream<S, F, Result<T, E>> {
    /// Gives out what an emission failed with as the last item, instead of ending silently.
    ///
    /// ```
    /// use callbacks::{BoxError, Callbacks, Chunk, Serialized, callback_handler, handler};
    /// use futures_util::{StreamExt, stream};
    ///
    /// struct Budget;
    ///
    /// #[callback_handler]
    /// impl Budget {
    ///     fn on_llm_new_token(&self) -> Result<(), &'static str> {
    ///         Err("too expensive")
    ///     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// # static MODEL: Serialized = Serialized::new("MyModel");
    /// let callbacks = Callbacks::new().with(handler(Budget).raise_errors());
    /// let run = callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]).await?;
    ///
    /// let words = stream::iter([Ok("Be"), Ok::<_, BoxError>("cause")]);
    /// let words = run.stream(words, |word| Chunk::text(*word)).raise();
    /// let words: Vec<_> = words.collect().await;
    /// assert!(matches!(&words[..], [Err(_)]));
    /// # Ok::<(), BoxError>(())
    /// # })?;
    /// # Ok::<(), BoxError>(())
    /// ```
    pub fn raise(mut self) -> Self
    where
        E: From<EmitError>,
    {
        self.tap.raise();
        self
    }
}

impl<S: Stream<Item = I>, F, I> Stream for LlmStream<S, F, I> {
    type Item = I;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<I>> {
        let mut this = self.project();
        if this.telling.is_none() && !this.tap.is_over() {
            let came = ready!(this.inner.as_mut().poll_next(cx));
            *this.telling = this.tap.take_in(came);
        }
        if let Some(telling) = this.telling {
            let told = ready!(telling.as_mut().poll(cx));
            *this.telling = None;
            this.tap.told(told);
        }
        Poll::Ready(this.tap.give_out())
    }
}

impl<S: Stream, F, I> fmt::Debug for LlmStream<S, F, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LlmStream")
            .field("tap", &self.tap)
            .field("telling", &self.telling.is_some())
            .finish_non_exhaustive()
    }
}
