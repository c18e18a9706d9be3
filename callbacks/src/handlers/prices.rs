//! What tokens cost, in whole numbers.

use std::collections::BTreeMap;

use super::usage::ModelUsage;

/// What the tokens of each model cost, as the user says: this crate knows no prices.
///
/// A price is for a million tokens, a whole number in a unit of the user's choice, the same for all: cents,
/// or where those are too coarse, thousandths of a cent. What tokens cost is then a whole number of
/// millionths of that unit, and exact.
///
/// ```
/// use callbacks::handlers::{Price, Prices};
///
/// // In thousandths of a cent: $2.50, $10, and $1.25 for what comes from the cache.
/// let prices = Prices::new()
///     .with("gpt-4o-2024-08-06", Price::new(250_000, 1_000_000).cached_input(125_000))
///     .with("gpt-3.5-turbo", Price::new(50_000, 150_000));
/// # assert_eq!(prices, prices.clone());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prices(BTreeMap<String, Price>);

impl Prices {
    /// No prices.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Also with the price of this model, by its name in [`Usage::by_model`](super::Usage::by_model), in
    /// full: providers answer with `gpt-4o-2024-08-06` where `gpt-4o` was asked for.
    #[must_use]
    pub fn with(mut self, model: impl Into<String>, price: Price) -> Self {
        self.0.insert(model.into(), price);
        self
    }
}

/// What a million tokens of a model cost.
///
/// ```
/// use callbacks::TokenUsage;
/// use callbacks::handlers::Price;
///
/// // Cents for a million tokens; what comes from a cache, or goes there, at prices of its own.
/// let price = Price::new(300, 1500).cached_input(30).cache_write(375);
/// let tokens = TokenUsage::new()
///     .with_input_tokens(1000) // of these:
///     .with_cache_read(600)
///     .with_cache_write(100)
///     .with_output_tokens(10);
/// // Millionths of a cent.
/// assert_eq!(price.of(&tokens), 300 * 300 + 600 * 30 + 100 * 375 + 10 * 1500);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    input: u64,
    output: u64,
    cached_input: u64,
    cache_write: u64,
}

impl Price {
    /// So much for a million tokens read, and so much for a million written, reasoning included.
    #[must_use]
    pub const fn new(input: u64, output: u64) -> Self {
        Self {
            input,
            output,
            cached_input: input,
            cache_write: input,
        }
    }

    /// So much for a million input tokens that came from the provider's cache, instead of what input costs.
    #[must_use]
    pub const fn cached_input(mut self, cached_input: u64) -> Self {
        self.cached_input = cached_input;
        self
    }

    /// So much for a million input tokens that were written to the provider's cache, instead of what input
    /// costs.
    #[must_use]
    pub const fn cache_write(mut self, cache_write: u64) -> Self {
        self.cache_write = cache_write;
        self
    }

    /// What these tokens cost, in millionths of the unit of the price. What is not known costs nothing.
    #[must_use]
    pub fn of(&self, tokens: &crate::TokenUsage) -> u128 {
        let read = tokens.cache_read.unwrap_or(0);
        let written = tokens.cache_write.unwrap_or(0);
        let input = tokens.input_tokens.unwrap_or(0);
        let costs = [
            (
                input.saturating_sub(read).saturating_sub(written),
                self.input,
            ),
            (read, self.cached_input),
            (written, self.cache_write),
            (tokens.output_tokens.unwrap_or(0), self.output),
        ];
        // One product always fits; the sum of four nonsensical ones need not.
        costs.into_iter().fold(0, |sum: u128, (tokens, price)| {
            sum.saturating_add(u128::from(tokens) * u128::from(price))
        })
    }
}

/// The cost of what was used, and what of it has no price.
///
/// ```
/// use callbacks::handlers::{Price, Prices, Usage};
/// use callbacks::{Callbacks, LlmResult, Serialized};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// static MODEL: Serialized = Serialized::new("MyModel");
///
/// let usage = Usage::new();
/// let callbacks = Callbacks::new().with(usage.clone());
/// let run = callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]).await?;
/// run.end(|| LlmResult::from_text("Because.")).await?;
///
/// let costs = usage.costs(&Prices::new().with("gpt-4o-mini", Price::new(15, 60)));
/// assert_eq!(costs.total(), 0);
/// assert!(!costs.is_all());
/// assert!(costs.unpriced.contains_key("MyModel"));
/// # Ok::<(), callbacks::EmitError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Costs {
    /// Of each model that has a price, in millionths of the unit of the prices.
    pub by_model: BTreeMap<String, u128>,
    /// What was used of models that have no price. It is in no sum.
    pub unpriced: BTreeMap<String, ModelUsage>,
    /// How many calls of models that have a price did not say what they took: see
    /// [`ModelUsage::unreported`]. In the sums is only what they did say.
    pub unreported: u64,
}

impl Costs {
    pub(super) fn of(models: &BTreeMap<String, ModelUsage>, prices: &Prices) -> Self {
        let mut costs = Self::default();
        for (name, usage) in models {
            if let Some(price) = prices.0.get(name) {
                costs.by_model.insert(name.clone(), price.of(&usage.tokens));
                costs.unreported += usage.unreported;
            } else {
                costs.unpriced.insert(name.clone(), usage.clone());
            }
        }
        costs
    }

    /// Of all models that have a price, in millionths of the unit of the prices.
    #[must_use]
    pub fn total(&self) -> u128 {
        let costs = self.by_model.values();
        costs.fold(0, |sum, cost| sum.saturating_add(*cost))
    }

    /// Whether that is all: every model has a price, and every call said what it took.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.unpriced.is_empty() && self.unreported == 0
    }
}
