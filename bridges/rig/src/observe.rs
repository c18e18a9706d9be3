//! How a run of an agent gets its callbacks.

use std::fmt;
use std::sync::Arc;

use callbacks::{Callbacks, ModelParams};
use rig_agent::AgentRunner;
use rig_agent::agent::{PromptResponse, RunEvents};
use rig_agent::completion::PromptError;

use crate::hook::Hook;
use crate::observed::Observed;
use crate::runs::Runs;

/// Adds callbacks to a run of an agent.
pub trait Observe {
    /// What the run recovers; see [`AgentRunner`].
    type Output;

    /// Tells the handlers of `callbacks` of this run. Where `callbacks` are those of a run, it is inside that.
    ///
    /// This comes last: the hooks of the agent, and those that were added before, are asked first, and
    /// handlers hear of what they make of it.
    ///
    /// ```no_run
    /// use callbacks::Callbacks;
    /// use callbacks_rig::Observe;
    /// use rig_agent::Agent;
    /// use rig_agent::completion::PromptError;
    ///
    /// async fn ask(agent: &Agent, callbacks: &Callbacks) -> Result<String, PromptError> {
    ///     let response = agent.prompt("Why?").max_turns(3).observed(callbacks).await?;
    ///     Ok(response.output())
    /// }
    /// ```
    fn observed(self, callbacks: &Callbacks) -> ObservedRun<Self::Output>;
}

impl<O> Observe for AgentRunner<O> {
    type Output = O;

    fn observed(self, callbacks: &Callbacks) -> ObservedRun<O> {
        ObservedRun {
            runner: self,
            callbacks: callbacks.clone(),
            params: ModelParams::new(),
        }
    }
}

/// A run of an agent that handlers are told of. Made by [`Observe::observed`].
///
/// It does nothing until it is awaited, or its stream is polled. A run of which the future or the stream is
/// dropped ends there, and with it what is open inside it.
#[derive(Clone)]
#[must_use = "a run does nothing until awaited or driven"]
pub struct ObservedRun<O = ()> {
    runner: AgentRunner<O>,
    callbacks: Callbacks,
    params: ModelParams,
}

impl<O> ObservedRun<O> {
    /// What handlers see of each call of a model, beside what rig tells of it: which is not the provider, nor
    /// the model, unless the request or [`named_model`](rig_agent::AgentBuilder::named_model) names it.
    ///
    /// ```no_run
    /// use callbacks::{Callbacks, ModelParams};
    /// use callbacks_rig::Observe;
    /// # async fn ask(agent: &rig_agent::Agent, callbacks: &Callbacks) -> Result<(), rig_agent::completion::PromptError> {
    ///
    /// let params = ModelParams::new().with_provider("openai").with_model("gpt-4o-mini");
    /// let response = agent.prompt("Why?").observed(callbacks).params(params).await?;
    /// # let _ = response;
    /// # Ok(())
    /// # }
    /// ```
    pub fn params(mut self, params: ModelParams) -> Self {
        self.params = params;
        self
    }

    fn start(self) -> (AgentRunner<O>, Arc<Runs>) {
        let runs = Arc::new(Runs::new(self.callbacks, self.params));
        let runner = self.runner.add_hook(Hook::new(&runs));
        (runner, runs)
    }
}

impl ObservedRun {
    /// As [`AgentRunner::stream`]: the same items.
    ///
    /// An error that a handler raises is an item in place of rig's own, or the last one, after the response.
    ///
    /// ```no_run
    /// use callbacks::Callbacks;
    /// use callbacks_rig::Observe;
    /// use futures_util::StreamExt;
    /// use rig_agent::Agent;
    /// use rig_agent::completion::PromptError;
    ///
    /// async fn watch(agent: &Agent, callbacks: &Callbacks) -> Result<(), PromptError> {
    ///     let mut items = agent.prompt("Why?").observed(callbacks).stream();
    ///     while let Some(item) = items.next().await {
    ///         println!("{:?}", item?);
    ///     }
    ///     Ok(())
    /// }
    /// ```
    #[must_use = "a stream does nothing until polled"]
    pub fn stream(self) -> Observed<rig_agent::agent::StreamingResult> {
        let (runner, runs) = self.start();
        Observed::new(runner.stream(), runs)
    }

    /// As [`AgentRunner::run_channel`]. The run ends with the future, not with the events.
    ///
    /// ```no_run
    /// use callbacks::Callbacks;
    /// use callbacks_rig::Observe;
    /// use futures_util::StreamExt;
    /// use rig_agent::Agent;
    /// use rig_agent::completion::PromptError;
    ///
    /// async fn watch(agent: &Agent, callbacks: &Callbacks) -> Result<String, PromptError> {
    ///     let (run, events) = agent.prompt("Why?").observed(callbacks).run_channel();
    ///     let shown = events.for_each(async |event| println!("{event:?}"));
    ///     let (response, ()) = futures_util::join!(run, shown);
    ///     Ok(response?.output())
    /// }
    /// ```
    #[must_use = "the run does nothing until the future is driven"]
    pub fn run_channel(
        self,
    ) -> (
        impl Future<Output = Result<PromptResponse, PromptError>> + Send,
        RunEvents,
    ) {
        let (runner, runs) = self.start();
        let (run, events) = runner.run_channel();
        (Observed::new(Box::pin(run), runs), events)
    }
}

impl<O, T, E> IntoFuture for ObservedRun<O>
where
    AgentRunner<O>: IntoFuture<Output = Result<T, E>, IntoFuture: Unpin>,
    E: From<PromptError>,
{
    type Output = Result<T, E>;
    type IntoFuture = Observed<<AgentRunner<O> as IntoFuture>::IntoFuture>;

    fn into_future(self) -> Self::IntoFuture {
        let (runner, runs) = self.start();
        Observed::new(runner.into_future(), runs)
    }
}

impl<O> fmt::Debug for ObservedRun<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObservedRun")
            .field("callbacks", &self.callbacks)
            .field("params", &self.params)
            .finish_non_exhaustive()
    }
}
