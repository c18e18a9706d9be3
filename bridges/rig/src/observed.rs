//! The future or the stream of a run, which owns what is open of it.

use std::error::Error;
use std::fmt;
use std::iter::successors;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use callbacks::EmitError;
use futures_core::Stream;
use rig_agent::completion::PromptError;
use rig_core::error::ProviderError;

use crate::runs::Runs;

/// The future or the stream of a run that handlers are told of, with rig's own results.
///
/// Rig tells its hooks nothing when a run is given up. So this owns all that is open of the run, and the hook
/// only borrows it: dropped, it closes what is open.
#[must_use = "a run does nothing until awaited or driven"]
pub struct Observed<R> {
    // Dropped before the runs that it is inside of.
    run: R,
    /// `None` once the run is over.
    runs: Option<Arc<Runs>>,
}

impl<R> Observed<R> {
    pub(crate) fn new(run: R, runs: Arc<Runs>) -> Self {
        let runs = Some(runs);
        Self { run, runs }
    }

    /// Polls the run. Should it panic, what is open closes while the thread unwinds.
    fn poll<T>(&mut self, poll: impl FnOnce(Pin<&mut R>) -> T) -> T
    where
        R: Unpin,
    {
        let runs = self.runs.take();
        let polled = poll(Pin::new(&mut self.run));
        self.runs = runs;
        polled
    }

    fn raised<E: From<PromptError>>(&self) -> Option<E> {
        let raised = self.runs.as_ref()?.take_raised()?;
        Some(PromptError::Provider(ProviderError::request(raised)).into())
    }
}

impl<R, T, E> Future for Observed<R>
where
    R: Future<Output = Result<T, E>> + Unpin,
    E: From<PromptError>,
{
    type Output = Result<T, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, E>> {
        let result = ready!(self.as_mut().get_mut().poll(|run| run.poll(cx)));
        let raised = self.raised();
        self.runs = None;
        Poll::Ready(raised.map_or(result, Err))
    }
}

impl<R, T, E> Stream for Observed<R>
where
    R: Stream<Item = Result<T, E>> + Unpin,
    E: From<PromptError>,
{
    type Item = Result<T, E>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<T, E>>> {
        let item = ready!(self.as_mut().get_mut().poll(|run| run.poll_next(cx)));
        Poll::Ready(match item {
            Some(Ok(item)) => Some(Ok(item)),
            // Rig knows of a raised error only that the run was cancelled.
            Some(Err(error)) => Some(Err(self.raised().unwrap_or(error))),
            None => {
                let raised = self.raised();
                self.runs = None;
                raised.map(Err)
            }
        })
    }
}

impl<R> fmt::Debug for Observed<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observed").finish_non_exhaustive()
    }
}

/// What a handler raised, if that is what the run failed with.
///
/// Rig's errors have no room for those of others, so it is in a `PromptError::Provider`, as the cause of a
/// `ProviderError::Request`.
///
/// ```no_run
/// use callbacks::Callbacks;
/// use callbacks_rig::{Observe, emit_error};
/// # async fn ask(agent: &rig_agent::Agent, callbacks: &Callbacks) {
///
/// if let Err(error) = agent.prompt("Why?").observed(callbacks).await {
///     match emit_error(&error) {
///         Some(raised) => eprintln!("{raised}"), // the callback handler `Budget` failed in `on_llm_end`
///         None => eprintln!("{error}"),
///     }
/// }
/// # }
/// ```
#[must_use]
pub fn emit_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a EmitError> {
    successors(Some(error), |&error| error.source()).find_map(|error| error.downcast_ref())
}
