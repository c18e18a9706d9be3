//! A handler that counts the tokens that models use, for each model.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::AddAssign;
use std::sync::{Arc, Mutex};

use super::prices::{Costs, Prices};
use crate::delivery::lock;
use crate::payload::{ErrorKind, LlmResult, ModelParams, RunError, TokenUsage};
use crate::{Handler, Registered, Run, callback_handler, events};

/// Counts the tokens that models use, and how often they are called, for each model.
///
/// A clone is the same handler: register one, and read the other. It is called once for each event, even
/// if several clones are registered. It counts from its registration on, over all run trees; for one
/// request, give that one a `Usage` of its own. To count takes less time than to go to another thread, so
/// it is best registered [`inline`](crate::Configured::inline).
///
/// ```
/// use callbacks::handlers::{Price, Prices, Usage};
/// use callbacks::{Callbacks, LlmOutput, LlmResult, Serialized, TokenUsage, handler};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// static MODEL: Serialized = Serialized::new("MyModel");
///
/// let usage = Usage::new();
/// let callbacks = Callbacks::new().with(handler(usage.clone()).inline());
///
/// let run = callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]).await?;
/// let tokens = TokenUsage::new().with_input_tokens(11).with_output_tokens(17);
/// let output = LlmOutput::new().with_model_name("gpt-4o-mini").with_token_usage(tokens);
/// run.end(&LlmResult::from_text("Because.").with_llm_output(output)).await?;
///
/// let mini = &usage.by_model()["gpt-4o-mini"];
/// assert_eq!((mini.calls, mini.tokens.output_tokens), (1, Some(17)));
/// // 15 and 60 cents for a million tokens.
/// let costs = usage.costs(&Prices::new().with("gpt-4o-mini", Price::new(15, 60)));
/// assert_eq!(costs.total(), 11 * 15 + 17 * 60); // millionths of a cent
/// # Ok::<(), callbacks::EmitError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What counts
///
/// - A model goes by the name that it answered with (`llm_output.model_name`); where it gave none, by that
///   which was asked for (`params.model`), and where nobody said, by the run's name.
/// - A call that ends with an error is a call, and a [failed](ModelUsage::failed) one. What had arrived of
///   its answer counts, as far as that says what it took.
/// - A call that a handler [stopped](crate::Decision::Stop) never reached a model, and is none. One that a
///   handler [answered](crate::Decision::Answer) counts like the answer of a model: have it say that it took
///   0 tokens in and 0 out.
/// - A number that a provider did not send is `None`, and stays it until one is sent: it is not 0. The
///   calls of which not all is known are in [`unreported`](ModelUsage::unreported).
/// - A batch is one run for each conversation, and so many calls.
#[derive(Clone, Default)]
pub struct Usage(Arc<Counts>);

/// What a [`Usage`] registers: what all of its clones have in common.
#[derive(Default)]
pub struct Counts(Mutex<BTreeMap<String, ModelUsage>>);

/// What was used of a model, or of all: see [`Usage`].
///
/// `+=` adds another's.
///
/// ```
/// use callbacks::handlers::Usage;
///
/// let mut sum = Usage::new().total();
/// sum += &Usage::new().total();
/// assert_eq!(sum.calls, 0);
/// assert_eq!(sum.tokens.input_tokens, None);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ModelUsage {
    /// How often it was called, the failed calls included.
    pub calls: u64,
    /// How many of the calls ended with an error.
    pub failed: u64,
    /// How many of the calls did not say both how many tokens were read and how many written. `tokens`
    /// has what they did say, so it is less than what was used.
    pub unreported: u64,
    /// What the calls took.
    pub tokens: TokenUsage,
}

impl Usage {
    /// Nothing counted yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What was used of each model, by name.
    #[must_use]
    pub fn by_model(&self) -> BTreeMap<String, ModelUsage> {
        lock(&self.0.0).clone()
    }

    /// What was used of all models.
    #[must_use]
    pub fn total(&self) -> ModelUsage {
        let mut total = ModelUsage::default();
        for model in lock(&self.0.0).values() {
            total += model;
        }
        total
    }

    /// What that costs, and what of it has no price.
    #[must_use]
    pub fn costs(&self, prices: &Prices) -> Costs {
        Costs::of(&lock(&self.0.0), prices)
    }

    /// What was used of each model since the last time, and starts over. Nothing gets lost in between.
    #[must_use]
    pub fn take(&self) -> BTreeMap<String, ModelUsage> {
        std::mem::take(&mut lock(&self.0.0))
    }
}

impl Handler<events::Events> for Usage {
    type Delivery = Counts;

    fn register(self) -> Registered<events::Events, Counts> {
        Registered::new(self.0).named_after::<Self>()
    }
}

impl Counts {
    fn count(
        &self,
        response: Option<&LlmResult>,
        params: Option<&ModelParams>,
        failed: bool,
        run: &Run<'_>,
    ) {
        let answered = response.and_then(|response| response.llm_output.model_name.as_deref());
        let asked = || params.and_then(|params| params.model.as_deref());
        let name = answered.or_else(asked).unwrap_or_else(|| run.name());
        let tokens = response.map(LlmResult::usage).cloned().unwrap_or_default();
        let reported = tokens.input_tokens.is_some() && tokens.output_tokens.is_some();
        let call = ModelUsage {
            calls: 1,
            failed: failed.into(),
            unreported: (!reported).into(),
            tokens,
        };
        let mut models = lock(&self.0);
        match models.get_mut(name) {
            Some(model) => *model += &call,
            None => drop(models.insert(name.to_owned(), call)),
        }
    }
}

#[callback_handler(events = crate::events)]
impl Counts {
    fn on_llm_end(&self, response: &LlmResult, params: Option<&ModelParams>, run: &Run<'_>) {
        self.count(Some(response), params, false, run);
    }

    fn on_llm_error(
        &self,
        error: &RunError,
        response: Option<&LlmResult>,
        params: Option<&ModelParams>,
        run: &Run<'_>,
    ) {
        if error.kind != ErrorKind::Stopped || response.is_some() {
            self.count(response, params, true, run);
        }
    }
}

impl AddAssign<&Self> for ModelUsage {
    fn add_assign(&mut self, other: &Self) {
        self.calls += other.calls;
        self.failed += other.failed;
        self.unreported += other.unreported;
        self.tokens += &other.tokens;
    }
}

impl fmt::Debug for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Usage").field(&self.by_model()).finish()
    }
}

impl fmt::Debug for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Counts").field(&*lock(&self.0)).finish()
    }
}
