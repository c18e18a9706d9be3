//! What a model call gave.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::json::{is_default, null_as_default, seconds};
use super::setters::{entries, setters};
use super::{Message, Metadata, TokenUsage};

/// What a model call gave.
///
/// ```
/// use callbacks::{Generation, LlmOutput, LlmResult, Message, TokenUsage};
///
/// let result = LlmResult::from_text("Why don't scientists trust atoms?");
/// assert_eq!(result.text(), "Why don't scientists trust atoms?");
///
/// let generation = Generation::from_message(Message::ai("hi")).with_finish_reason("stop");
/// let output = LlmOutput::new()
///     .with_model_name("gpt-4o-mini")
///     .with_token_usage(TokenUsage::new().with_output_tokens(1));
/// let result = LlmResult::new(vec![vec![generation]]).with_llm_output(output);
/// assert_eq!(result.text(), "hi");
/// assert_eq!(result.usage().output_tokens, Some(1));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct LlmResult {
    /// For every prompt (a run has one), the choices the model gave.
    #[serde(deserialize_with = "null_as_default")]
    pub generations: Vec<Vec<Generation>>,
    /// What the provider said about the call as a whole.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "is_default"
    )]
    pub llm_output: LlmOutput,
}

impl LlmResult {
    /// A result with these choices for every prompt.
    #[must_use]
    pub fn new(generations: Vec<Vec<Generation>>) -> Self {
        Self {
            generations,
            ..Self::default()
        }
    }

    /// A result of one choice that is plain text.
    #[must_use]
    pub fn from_text(text: impl Into<String>) -> Self {
        Self::new(vec![vec![Generation::new(text)]])
    }

    /// The text of the first generation, empty if there is none.
    #[must_use]
    pub fn text(&self) -> &str {
        let first = self.generations.iter().flatten().next();
        first.map_or("", |generation| &generation.text)
    }

    /// The tokens the call took: `llm_output.token_usage`.
    #[must_use]
    pub fn usage(&self) -> &TokenUsage {
        &self.llm_output.token_usage
    }

    setters! {
        with_llm_output(llm_output: LlmOutput) = llm_output;
    }
}

/// One choice of what the model wrote.
///
/// ```
/// use callbacks::{Generation, Message};
///
/// let plain = Generation::new("hi").with_finish_reason("stop").with_info("seed", 7);
/// let chat = Generation::from_message(Message::ai("hi"));
/// assert_eq!(plain.text, chat.text);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(from = "GenerationJson")]
pub struct Generation {
    /// The text written.
    pub text: String,
    /// The message written: from a chat model, and where the answer was a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Message>,
    /// Why the model stopped, in the provider's words: `stop`, `length`, `tool_calls`, ..
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// What else the provider said about this choice. Also read from JSON as `generation_info`, LangChain's name.
    #[serde(skip_serializing_if = "Metadata::is_empty")]
    pub info: Metadata,
}

/// No serde alias: some JSON has what else was said under both names.
#[derive(Default, Deserialize)]
#[serde(default)]
struct GenerationJson {
    #[serde(deserialize_with = "null_as_default")]
    text: String,
    message: Option<Message>,
    finish_reason: Option<String>,
    info: Option<Metadata>,
    generation_info: Option<Metadata>,
}

impl From<GenerationJson> for Generation {
    fn from(json: GenerationJson) -> Self {
        Self {
            text: json.text,
            message: json.message,
            finish_reason: json.finish_reason,
            info: json
                .info
                .filter(|info| !info.is_empty())
                .or(json.generation_info)
                .unwrap_or_default(),
        }
    }
}

impl Generation {
    /// A generation that is plain text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// A chat model's generation; its text is the message's.
    #[must_use]
    pub fn from_message(message: Message) -> Self {
        Self::new(message.text()).with_message(message)
    }

    setters! {
        with_message(message: Message) = Some(message);
        with_finish_reason(finish_reason: impl Into<String>) = Some(finish_reason.into());
    }

    entries! {
        with_info => info;
    }
}

/// What the provider said about a model call as a whole.
///
/// ```
/// use std::time::Duration;
/// use callbacks::{LlmOutput, TokenUsage};
///
/// let output = LlmOutput::new()
///     .with_token_usage(TokenUsage::new().with_total_tokens(28))
///     .with_model_name("gpt-4o-mini-2024-07-18")
///     .with_response_id("chatcmpl-1")
///     .with_time_to_first_token(Duration::from_millis(250))
///     .with_extra("system_fingerprint", "fp_1");
/// assert_eq!(output.extra["system_fingerprint"], "fp_1");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
#[serde(default)]
pub struct LlmOutput {
    /// The tokens the call took.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "TokenUsage::is_empty"
    )]
    pub token_usage: TokenUsage,
    /// The model that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_name: Option<String>,
    /// The provider's id for the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_id: Option<String>,
    /// How long the model took to the first piece of its answer; in JSON a number of seconds. A
    /// [streamed](crate::RunGuard::stream) run measures it.
    #[serde(with = "seconds", skip_serializing_if = "Option::is_none")]
    pub time_to_first_token: Option<Duration>,
    /// Anything else.
    #[serde(flatten)]
    pub extra: Metadata,
}

impl LlmOutput {
    /// Nothing said.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        with_token_usage(token_usage: TokenUsage) = token_usage;
        with_model_name(model_name: impl Into<String>) = Some(model_name.into());
        with_response_id(response_id: impl Into<String>) = Some(response_id.into());
        with_time_to_first_token(time_to_first_token: Duration) = Some(time_to_first_token);
    }

    entries! {
        with_extra => extra;
    }
}
