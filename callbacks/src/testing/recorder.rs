//! The recorder: a handler of everything, which keeps what it is called with.

use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use super::{Problems, Recorded, balance, lock, order};
use crate::events::Events;
use crate::{BoxFuture, Deliver, EventSet, Handler, Interests, Outcome, Registered, Run, RunId};

/// A handler of all events of a set, which records every call.
///
/// Clones share the record: one is registered, another one asked. They are the same handler, so one
/// that is registered twice is called once.
///
/// ```
/// use callbacks::events::LlmEnd;
/// use callbacks::testing::{Recorder, assert_events};
/// use callbacks::{Callbacks, LlmResult, Serialized};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// static MODEL: Serialized = Serialized::new("MyModel");
/// let recorder = Recorder::new();
/// let callbacks = Callbacks::new().with(recorder.clone());
///
/// let run = callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]).await?;
/// run.end(|| LlmResult::from_text("Because")).await?;
///
/// assert_events!(recorder, [LlmStart, LlmEnd { response } if response.text() == "Because"]);
/// recorder.assert_balanced();
///
/// let end = &recorder.events()[1];
/// assert!(end.is::<LlmEnd>());
/// assert_eq!((end.method(), end.run().name()), ("on_llm_end", "MyModel"));
/// # Ok::<(), callbacks::EmitError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # How it is called
///
/// As registered: a `recorder.clone()` is called on a lane, `handler(recorder.clone()).inline()`
/// where the event is emitted, and [`recorder.clone().asynchronous()`](Self::asynchronous) by its
/// async methods. `handler(..).only(..)` narrows what is recorded.
///
/// # Other sets
///
/// `Recorder::new()` is for the built-in events, [`Recorder::of`] for those of any set.
pub struct Recorder<S: EventSet = Events>(Arc<Writer<S>>);

/// What is registered. It is what makes a handler the same one.
pub struct Writer<S: EventSet> {
    history: Arc<History<S>>,
    asynchronous: bool,
}

struct History<S: EventSet> {
    /// Whoever reads it takes the `Arc`, so that no code of users runs under the lock.
    calls: Mutex<Arc<Vec<Recorded<S>>>>,
    added: Notify,
}

impl Recorder {
    /// An empty record of the built-in events.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty record of the events of another set.
    ///
    /// ```
    /// use callbacks::testing::{Recorder, assert_events};
    /// use callbacks::{Callbacks, callback_events};
    ///
    /// #[callback_events]
    /// mod shop {
    ///     pub struct Sold<'a> {
    ///         pub item: &'a str,
    ///         pub count: u32,
    ///     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let recorder = Recorder::of::<shop::Events>();
    /// let callbacks = Callbacks::new().with(recorder.clone());
    /// callbacks.emit(shop::Sold { item: "tea", count: 2 }).await?;
    /// assert_events!(recorder, in shop, [Sold { item: "tea", count: 1..=3 }]);
    /// # Ok::<(), callbacks::EmitError>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn of<S: EventSet>() -> Recorder<S> {
        Recorder::default()
    }

    /// Whether every run was opened and closed as it should, so far as this handler can see:
    ///
    /// * every start has exactly one end or error, of its own kind, and there is none without a start
    ///   (an id that two runs have counts as two starts);
    /// * all else of a run lies between the two;
    /// * all of a run lies between the start and the end of the run around it. One whose start was
    ///   not recorded does not count: a handler may be registered for some runs only;
    /// * no number, [`Run::seq`], occurs twice in a run tree.
    ///
    /// What lies where is told by the numbers, for async and inline methods may be called late where
    /// emissions overlap. But nothing of a run, and of the runs inside it, is called before its start.
    ///
    /// It looks at the whole record: [`take`](Self::take) half of it, or record without the starts,
    /// and it has something to find. A run whose guard is dropped closes by itself, but a moment
    /// later; this waits for it:
    ///
    /// ```
    /// # use callbacks::testing::Recorder;
    /// # use callbacks::{Callbacks, Serialized};
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// # let recorder = Recorder::new();
    /// # let callbacks = Callbacks::new().with(recorder.clone());
    /// # static TOOL: Serialized = Serialized::new("Tool");
    /// drop(callbacks.tool_start(&TOOL, "1 + 1").await?);
    /// recorder.until(|_| recorder.balanced().is_ok()).await;
    /// # Ok::<(), callbacks::EmitError>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// All that was found.
    pub fn balanced(&self) -> Result<(), Problems> {
        Problems::found(balance::problems(&self.snapshot()))
    }

    /// Asserts that the record is [balanced](Self::balanced).
    ///
    /// # Panics
    ///
    /// If it is not, with all that was found.
    #[track_caller]
    pub fn assert_balanced(&self) {
        if let Err(problems) = self.balanced() {
            panic!("the record is not balanced: {problems}");
        }
    }
}

impl<S: EventSet> Recorder<S> {
    /// The same record, written by async methods instead of plain ones. That is another handler.
    #[must_use]
    pub fn asynchronous(self) -> Self {
        Self(Arc::new(Writer {
            history: self.0.history.clone(),
            asynchronous: true,
        }))
    }

    /// What was recorded so far, in the order of the calls.
    #[must_use]
    pub fn events(&self) -> Vec<Recorded<S>> {
        self.snapshot().to_vec()
    }

    /// What was recorded so far of one run, without that of the runs inside it.
    #[must_use]
    pub fn of_run(&self, id: RunId) -> Vec<Recorded<S>> {
        let all = self.snapshot();
        let of_run = all.iter().filter(|recorded| recorded.run().id() == id);
        of_run.cloned().collect()
    }

    /// What was recorded so far, or since it was taken last.
    #[allow(
        clippy::must_use_candidate,
        reason = "to forget it is a use of its own"
    )]
    pub fn take(&self) -> Vec<Recorded<S>> {
        let taken = std::mem::take(&mut *lock(&self.0.history.calls));
        Arc::unwrap_or_clone(taken)
    }

    /// How many calls were recorded.
    #[must_use]
    pub fn len(&self) -> usize {
        self.snapshot().len()
    }

    /// Whether nothing was recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.snapshot().is_empty()
    }

    /// Waits until the condition holds of the record, and returns that. The condition is asked now,
    /// and whenever something was added; if it never holds, this never returns.
    ///
    /// ```
    /// use callbacks::events::ChainError;
    /// use callbacks::testing::Recorder;
    /// use callbacks::{Callbacks, Serialized};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// static AGENT: Serialized = Serialized::new("Agent");
    /// let recorder = Recorder::new();
    /// let callbacks = Callbacks::new().with(recorder.clone());
    ///
    /// // closes by itself, a moment later
    /// drop(callbacks.chain_start(&AGENT, serde_json::Value::Null).await?);
    /// recorder.until(|events| events.iter().any(|event| event.is::<ChainError>())).await;
    /// # Ok::<(), callbacks::EmitError>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn until(
        &self,
        mut condition: impl FnMut(&[Recorded<S>]) -> bool,
    ) -> Vec<Recorded<S>> {
        loop {
            let mut added = pin!(self.0.history.added.notified());
            // From here on it hears of what is added.
            added.as_mut().enable();
            let all = self.snapshot();
            if condition(&all) {
                return Arc::unwrap_or_clone(all);
            }
            drop(all);
            added.await;
        }
    }

    /// Whether the events of each run tree were recorded in the order in which they were emitted, by
    /// their numbers. That is so for what is queued: plain methods, unless they are called inline.
    /// Async and inline methods may be called in another order where emissions overlap.
    ///
    /// # Errors
    ///
    /// All that was recorded too late.
    pub fn in_order(&self) -> Result<(), Problems> {
        Problems::found(order::problems(&self.snapshot()))
    }

    /// Asserts that the record is [in order](Self::in_order).
    ///
    /// # Panics
    ///
    /// If it is not, with all that was recorded too late.
    #[track_caller]
    pub fn assert_in_order(&self) {
        if let Err(problems) = self.in_order() {
            panic!("the record is not in order: {problems}");
        }
    }

    fn snapshot(&self) -> Arc<Vec<Recorded<S>>> {
        lock(&self.0.history.calls).clone()
    }
}

impl<S: EventSet> Clone for Recorder<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: EventSet> Default for Recorder<S> {
    fn default() -> Self {
        let history = History {
            calls: Mutex::default(),
            added: Notify::new(),
        };
        Self(Arc::new(Writer {
            history: Arc::new(history),
            asynchronous: false,
        }))
    }
}

impl<S: EventSet> fmt::Debug for Recorder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("asynchronous", &self.0.asynchronous)
            .field("events", &self.snapshot())
            .finish()
    }
}

impl<S: EventSet> Handler<S> for Recorder<S> {
    type Delivery = Writer<S>;

    fn register(self) -> Registered<S, Writer<S>> {
        Registered::new(self.0)
    }
}

impl<S: EventSet> Writer<S> {
    fn add(&self, run: &Run<'_>, event: &S::Ref<'_>) {
        let recorded = Recorded::here(run, event);
        Arc::make_mut(&mut *lock(&self.history.calls)).push(recorded);
        self.history.added.notify_waiters();
    }

    fn events(&self, asynchronous: bool) -> Interests {
        if self.asynchronous == asynchronous {
            Interests::ALL.without(S::DECISIONS)
        } else {
            Interests::NONE
        }
    }
}

impl<S: EventSet> Deliver<S> for Writer<S> {
    fn name(&self) -> &'static str {
        "callbacks::testing::Recorder"
    }

    fn interests(&self) -> Interests {
        self.events(false)
    }

    fn async_interests(&self) -> Interests {
        self.events(true)
    }

    fn deliver(&self, run: &Run<'_>, event: &S::Ref<'_>) -> Outcome {
        self.add(run, event);
        Ok(())
    }

    fn deliver_async<'a, 'e: 'a>(
        &'a self,
        run: &'a Run<'e>,
        event: &'a S::Ref<'e>,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            self.add(run, event);
            Ok(())
        })
    }
}

impl<S: EventSet> fmt::Debug for Writer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("asynchronous", &self.asynchronous)
            .finish_non_exhaustive()
    }
}
