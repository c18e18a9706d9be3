//! A handler that stops calls of models once so many tokens are spent.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::payload::{LlmResult, TokenUsage};
use crate::{Decision, Handler, LlmDecision, Registered, callback_handler, events};

/// Stops calls of models once so many tokens are spent, read and written together.
///
/// Before each call it is asked, and where the limit is reached, the call is an
/// [`EmitError::Stopped`](crate::EmitError::Stopped) that says what is spent and what the limit is. What is
/// spent is what calls report as they end; what had arrived of a call that failed counts, too. Of a
/// provider's total and the sum of what was read and written, the greater counts. **A call that reports
/// nothing counts nothing**: where a provider does not send usage, the limit is never reached. A call that
/// another handler [answered](crate::Decision::Answer) counts what that says.
///
/// It is a limit for what begins, and **may be overshot**: by the call that reaches it, and by all that are
/// under way by then. [`with_max_tokens`](crate::ModelParams::with_max_tokens) bounds each of them.
///
/// A clone is the same handler, and the same budget: register it with every request that is to share it.
///
/// ```
/// use callbacks::handlers::TokenBudget;
/// use callbacks::{Callbacks, EmitError, LlmOutput, LlmResult, Serialized, TokenUsage, handler};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// static MODEL: Serialized = Serialized::new("MyModel");
///
/// let budget = TokenBudget::new(20);
/// let callbacks = Callbacks::new().with(handler(budget.clone()).inline());
///
/// let run = callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]).await?;
/// let tokens = TokenUsage::new().with_input_tokens(11).with_output_tokens(17);
/// let output = LlmOutput::new().with_token_usage(tokens);
/// run.end(&LlmResult::from_text("Because.").with_llm_output(output)).await?;
/// assert_eq!((budget.spent(), budget.remaining()), (28, 0));
///
/// let again = callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]).await;
/// let Err(EmitError::Stopped { reason }) = again else { panic!() };
/// assert_eq!(reason, "28 tokens of 20 are spent");
/// # Ok::<(), callbacks::EmitError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct TokenBudget(Arc<Spending>);

/// What a [`TokenBudget`] registers: what all of its clones have in common.
#[derive(Debug)]
pub struct Spending {
    limit: u64,
    spent: AtomicU64,
}

impl TokenBudget {
    /// So many tokens.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        let spent = AtomicU64::new(0);
        Self(Arc::new(Spending { limit, spent }))
    }

    /// How many tokens it is.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.0.limit
    }

    /// How many tokens are spent: more than the limit, if that was overshot.
    #[must_use]
    pub fn spent(&self) -> u64 {
        self.0.spent.load(Ordering::Relaxed)
    }

    /// How many tokens are left; 0 if the limit was overshot.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.limit().saturating_sub(self.spent())
    }
}

impl Handler<events::Events> for TokenBudget {
    type Delivery = Spending;

    fn register(self) -> Registered<events::Events, Spending> {
        Registered::new(self.0).named_after::<Self>()
    }
}

impl Spending {
    fn spend(&self, usage: &TokenUsage) {
        let [input, output] =
            [usage.input_tokens, usage.output_tokens].map(Option::unwrap_or_default);
        let tokens = input.saturating_add(output);
        let tokens = tokens.max(usage.total_tokens.unwrap_or_default());
        // The numbers are the provider's: a nonsensical one must not give the budget back.
        let spent = |spent: u64| Some(spent.saturating_add(tokens));
        let _ = self
            .spent
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, spent);
    }
}

#[callback_handler(events = crate::events)]
impl Spending {
    fn on_llm_request(&self) -> LlmDecision {
        let (limit, spent) = (self.limit, self.spent.load(Ordering::Relaxed));
        if spent < limit {
            return Decision::Continue;
        }
        Decision::Stop(format!("{spent} tokens of {limit} are spent"))
    }

    fn on_llm_end(&self, response: &LlmResult) {
        self.spend(response.usage());
    }

    fn on_llm_error(&self, response: Option<&LlmResult>) {
        if let Some(response) = response {
            self.spend(response.usage());
        }
    }
}

impl fmt::Debug for TokenBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenBudget")
            .field("limit", &self.limit())
            .field("spent", &self.spent())
            .finish()
    }
}
