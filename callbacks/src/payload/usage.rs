//! How many tokens a model call took.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use super::setters::setters;

/// How many tokens a model call took, as the provider reports it: `None` is unknown, not 0.
///
/// `+=` sums usage over calls; what is known on one side only is taken as it is.
///
/// ```
/// use callbacks::TokenUsage;
///
/// let call = TokenUsage::new().with_input_tokens(11).with_output_tokens(17);
/// let mut sum = TokenUsage::new();
/// assert!(sum.is_empty());
/// sum += &call;
/// sum += &call;
/// assert_eq!(sum.output_tokens, Some(34));
/// assert_eq!(sum.reasoning, None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(from = "Json")]
pub struct TokenUsage {
    /// Tokens the model read, those from a cache included. Also read from JSON as `prompt_tokens`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Tokens the model wrote, reasoning included. Also read from JSON as `completion_tokens`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// The provider's total.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_tokens: Option<u64>,
    /// The input tokens that came from the provider's cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<u64>,
    /// The input tokens that were written to the provider's cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<u64>,
    /// The output tokens that were spent on reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<u64>,
}

impl TokenUsage {
    /// Nothing known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    setters! {
        with_input_tokens(input_tokens: u64) = Some(input_tokens);
        with_output_tokens(output_tokens: u64) = Some(output_tokens);
        with_total_tokens(total_tokens: u64) = Some(total_tokens);
        with_cache_read(cache_read: u64) = Some(cache_read);
        with_cache_write(cache_write: u64) = Some(cache_write);
        with_reasoning(reasoning: u64) = Some(reasoning);
    }
}

impl TokenUsage {
    /// Goes over to what a provider said later about the same call: it is about the call so far, or
    /// about something else.
    pub(super) fn replace(&mut self, later: &Self) {
        self.merge(later, |_, later| later);
    }

    /// Takes in the other numbers: `both` says how, where there is one on each side.
    fn merge(&mut self, other: &Self, both: impl Fn(u64, u64) -> u64) {
        let merge = |this: &mut Option<u64>, other: Option<u64>| {
            if let Some(other) = other {
                *this = Some(this.map_or(other, |this| both(this, other)));
            }
        };
        merge(&mut self.input_tokens, other.input_tokens);
        merge(&mut self.output_tokens, other.output_tokens);
        merge(&mut self.total_tokens, other.total_tokens);
        merge(&mut self.cache_read, other.cache_read);
        merge(&mut self.cache_write, other.cache_write);
        merge(&mut self.reasoning, other.reasoning);
    }
}

impl AddAssign<&Self> for TokenUsage {
    fn add_assign(&mut self, other: &Self) {
        // The numbers are the provider's: a nonsensical one must not panic.
        self.merge(other, u64::saturating_add);
    }
}

/// No serde aliases: some JSON has a number under both of its names.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Json {
    input_tokens: Option<u64>,
    prompt_tokens: Option<u64>,
    output_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
    reasoning: Option<u64>,
}

impl From<Json> for TokenUsage {
    fn from(json: Json) -> Self {
        Self {
            input_tokens: json.input_tokens.or(json.prompt_tokens),
            output_tokens: json.output_tokens.or(json.completion_tokens),
            total_tokens: json.total_tokens,
            cache_read: json.cache_read,
            cache_write: json.cache_write,
            reasoning: json.reasoning,
        }
    }
}
