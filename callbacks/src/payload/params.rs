//! How one model call is made.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Metadata;
use super::json::null_as_default;
use super::setters::{entries, setters};

/// How one model call is made, in the terms of OpenTelemetry's `gen_ai.request.*`.
///
/// A field that is `None` or empty was not given: the provider's default applies.
///
/// ```
/// use callbacks::ModelParams;
///
/// let params = ModelParams::new()
///     .with_provider("openai")
///     .with_model("gpt-4o-mini")
///     .with_stream(true)
///     .with_temperature(0.2)
///     .with_max_tokens(25)
///     .with_stop(["\n\n"])
///     .with_extra("logprobs", true);
/// assert_eq!(params.model.as_deref(), Some("gpt-4o-mini"));
/// assert_eq!(params.max_tokens, Some(25));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct ModelParams {
    /// Who serves the model, by OpenTelemetry's names: `openai`, `anthropic`, `aws.bedrock`, ..
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The model asked for; the one that answered is [`LlmOutput::model_name`](super::LlmOutput::model_name).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Whether the answer is asked for piece by piece.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<bool>,
    /// The sampling temperature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Nucleus sampling: the probability mass sampled from, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// How many of the likeliest tokens are sampled from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<f64>,
    /// The most tokens the answer may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// The strings at which the model stops.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub stop: Vec<String>,
    /// The seed for reproducible sampling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// How many answers are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choices: Option<u64>,
    /// The definitions of the tools offered to the model, as the provider takes them.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub tools: Vec<Value>,
    /// The host the call goes to: a domain name or an IP address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_address: Option<String>,
    /// The port the call goes to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_port: Option<u16>,
    /// The conversation or session the call is part of; leave it out rather than invent one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<String>,
    /// Anything else.
    #[serde(flatten)]
    pub extra: Metadata,
}

impl ModelParams {
    /// No parameter given.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        with_provider(provider: impl Into<String>) = Some(provider.into());
        with_model(model: impl Into<String>) = Some(model.into());
        with_stream(stream: bool) = Some(stream);
        with_temperature(temperature: impl Into<f64>) = Some(temperature.into());
        with_top_p(top_p: impl Into<f64>) = Some(top_p.into());
        with_top_k(top_k: impl Into<f64>) = Some(top_k.into());
        with_max_tokens(max_tokens: u64) = Some(max_tokens);
        with_stop(stop: impl IntoIterator<Item: Into<String>>) = stop.into_iter().map(Into::into).collect();
        with_seed(seed: i64) = Some(seed);
        with_choices(choices: u64) = Some(choices);
        with_tools(tools: impl IntoIterator<Item: Into<Value>>) = tools.into_iter().map(Into::into).collect();
        with_server_address(server_address: impl Into<String>) = Some(server_address.into());
        with_server_port(server_port: u16) = Some(server_port);
        with_conversation_id(conversation_id: impl Into<String>) = Some(conversation_id.into());
    }

    entries! {
        with_extra => extra;
    }
}
