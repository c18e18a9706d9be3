//! What an emission can fail with.

use crate::BoxError;

/// Why an emission failed.
///
/// A handler's own error is none, unless it was registered with
/// [`raise_errors`](crate::Configured::raise_errors): it is logged, and the run goes on.
///
/// ```
/// use callbacks::events::ToolStart;
/// use callbacks::{Callbacks, EmitError, Serialized, handler, on};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// static SEARCH: Serialized = Serialized::new("Search");
///
/// let offline = on(|_: &ToolStart<'_>| Err::<(), _>("there is no network"));
/// let callbacks = Callbacks::new().with(handler(offline).raise_errors().named("offline"));
/// match callbacks.tool_start(&SEARCH, "tea").await {
///     Err(EmitError::Raised { handler, source, .. }) => {
///         assert_eq!(format!("{handler}: {source}"), "offline: there is no network");
///     }
///     Err(EmitError::Stopped { reason }) => println!("not allowed: {reason}"),
///     Err(other) => println!("{other}"),
///     Ok(tool) => println!("{} runs", tool.info().name()),
/// }
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmitError {
    /// A handler that was registered with [`raise_errors`](crate::Configured::raise_errors) failed.
    /// All other handlers were called all the same.
    #[error("the callback handler `{handler}` failed in `{event}`")]
    Raised {
        /// The handler's name.
        handler: String,
        /// Its method, such as `on_llm_start`.
        event: &'static str,
        /// What it failed with: its error, its panic, or that it took too long.
        source: BoxError,
    },
    /// A handler of a decision event stopped the run, or failed to answer. (Or it rewrote what the run
    /// was to do, or answered for it, where the framework did not ask: see [`Start::ask`](crate::Start::ask).)
    /// Those who saw the run start have seen it end, with an error of kind
    /// [`Stopped`](crate::ErrorKind::Stopped).
    #[error("a callback handler stopped the run: {reason}")]
    Stopped {
        /// Why.
        reason: String,
    },
    /// The run is over: it was closed together with a run around it. Nothing was delivered. Only whoever is
    /// listened to is told: where no handler wants the event, to emit it is `Ok`.
    #[error("the run is closed; end a run after the runs that were started in it")]
    RunClosed,
    /// A blocking call waited for 30 seconds in which nothing happened, on the thread of a
    /// current-thread runtime: what it waits for is up to a task of that runtime, which stands still
    /// meanwhile. Await there, or block in `spawn_blocking`.
    #[error("blocked the thread that would have to go on; `await` there, or use `spawn_blocking`")]
    WouldDeadlock,
}

/// A failure of a handler that fails again and again, and was logged before. It is counted and raised as
/// any other, but not logged.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct Repeated(pub(crate) BoxError);
