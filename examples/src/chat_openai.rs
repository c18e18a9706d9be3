//! A chat model that emits callbacks. It replays recorded answers, or asks an endpoint.

mod backend;
#[cfg(feature = "openai")]
mod endpoint;
mod error;
#[cfg(feature = "openai")]
mod refusal;
#[cfg(feature = "openai")]
mod wire;

use callbacks::{Asked, Callbacks, Chunk, LlmResult, Message, ModelParams, Serialized};
use futures_util::TryStreamExt;
use serde_json::Value;

use self::backend::Backend;
pub use self::error::ChatError;
#[cfg(feature = "openai")]
pub use self::error::EndpointError;

static CHAT_OPENAI: Serialized = Serialized::new("ChatOpenAI");

/// A chat model.
///
/// With the feature `openai`, and `OPENAI_BASE_URL` set when it is made, it asks the endpoint there, with
/// `OPENAI_API_KEY`. Otherwise it replays recorded answers.
#[derive(Clone, Debug, Default)]
pub struct ChatOpenAi {
    backend: Backend,
    settings: Settings,
    callbacks: Callbacks,
}

/// How it is asked.
#[derive(Clone, Debug)]
struct Settings {
    model: String,
    max_tokens: Option<u64>,
    temperature: Option<f64>,
    choices: Option<u64>,
    tools: Vec<Value>,
    streaming: bool,
    /// An endpoint's.
    #[cfg_attr(
        not(feature = "openai"),
        allow(dead_code, reason = "what is recorded never fails")
    )]
    max_attempts: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            model: "gpt-3.5-turbo".to_owned(),
            max_tokens: None,
            temperature: None,
            choices: None,
            tools: Vec::new(),
            streaming: false,
            max_attempts: 3,
        }
    }
}

impl ChatOpenAi {
    /// A model with default settings.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks this endpoint, whatever the environment says.
    ///
    /// # Errors
    ///
    /// If `base_url` is no URL of HTTP, or `api_key` cannot be sent.
    #[cfg(feature = "openai")]
    pub fn endpoint(mut self, base_url: &str, api_key: &str) -> Result<Self, EndpointError> {
        let endpoint = endpoint::Endpoint::new(base_url, api_key)?;
        self.backend = Backend::Endpoint(Box::new(endpoint));
        Ok(self)
    }

    /// The model asked for, if it is not `gpt-3.5-turbo`.
    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.settings.model = model.into();
        self
    }

    /// Ends an answer after so many tokens.
    #[must_use]
    pub fn max_tokens(mut self, max_tokens: u64) -> Self {
        self.settings.max_tokens = Some(max_tokens);
        self
    }

    /// The sampling temperature.
    #[must_use]
    pub fn temperature(mut self, temperature: f64) -> Self {
        self.settings.temperature = Some(temperature);
        self
    }

    /// Asks for several answers at once.
    #[must_use]
    pub fn choices(mut self, choices: u64) -> Self {
        self.settings.choices = Some(choices);
        self
    }

    /// The tools that the model may want called, as the provider takes them.
    #[must_use]
    pub fn tools(mut self, tools: impl IntoIterator<Item = Value>) -> Self {
        self.settings.tools = tools.into_iter().collect();
        self
    }

    /// How often an endpoint is asked that is busy or cannot be reached, the first time included. Without
    /// this it is 3 times.
    #[must_use]
    pub fn max_attempts(mut self, max_attempts: u32) -> Self {
        self.settings.max_attempts = max_attempts;
        self
    }

    /// Whether to emit each token as it comes.
    #[must_use]
    pub fn streaming(mut self, streaming: bool) -> Self {
        self.settings.streaming = streaming;
        self
    }

    /// Who is to hear of it.
    #[must_use]
    pub fn callbacks(mut self, callbacks: Callbacks) -> Self {
        self.callbacks = callbacks;
        self
    }

    /// Answers a prompt.
    ///
    /// # Errors
    ///
    /// If it cannot be answered.
    pub async fn invoke(&self, prompt: &str) -> Result<LlmResult, ChatError> {
        self.generate(&[vec![Message::human(prompt)]]).await
    }

    /// Answers each conversation of a batch.
    ///
    /// # Errors
    ///
    /// If one of them cannot be answered.
    pub async fn generate(&self, batch: &[Vec<Message>]) -> Result<LlmResult, ChatError> {
        let mut result = LlmResult::default();
        for messages in batch {
            let answer = self.answer(messages).await?;
            result.generations.extend(answer.generations);
            let (all, this) = (&mut result.llm_output, answer.llm_output);
            all.token_usage += &this.token_usage;
            all.model_name = this.model_name;
            all.response_id = this.response_id;
        }
        Ok(result)
    }

    async fn answer(&self, messages: &Vec<Message>) -> Result<LlmResult, ChatError> {
        let start = self.callbacks.chat_model_start(&CHAT_OPENAI, messages);
        let run = match start.params(|| self.params()).ask().await? {
            Asked::Answered(answer) => return Ok(answer),
            Asked::Go(run) => run,
        };
        // The messages as handlers decided, if they did.
        let chunks = self
            .backend
            .chunks(run.messages().unwrap_or(messages), &self.settings, &run)
            .await;
        match chunks {
            Ok(chunks) if self.settings.streaming => {
                // From here on the stream tells the handlers: each chunk, and how it ends.
                let chunks = run.stream(chunks, Chunk::clone).raise();
                let chunks: Vec<Chunk> = chunks.try_collect().await?;
                Ok(chunks.iter().collect())
            }
            chunks => {
                let answer = whole(chunks).await;
                let told = run.finish(answer.as_ref()).await;
                // What the model failed with comes before what its handlers failed with then.
                let answer = answer?;
                told?;
                Ok(answer)
            }
        }
    }

    fn params(&self) -> ModelParams {
        let settings = &self.settings;
        let mut params = ModelParams::new()
            .with_provider("openai")
            .with_model(&settings.model)
            .with_stream(settings.streaming)
            .with_tools(settings.tools.iter().cloned());
        params.max_tokens = settings.max_tokens;
        params.temperature = settings.temperature;
        params.choices = settings.choices;
        self.backend.locate(params)
    }
}

async fn whole(chunks: Result<backend::Chunks, ChatError>) -> Result<LlmResult, ChatError> {
    let chunks: Vec<Chunk> = chunks?.try_collect().await?;
    Ok(chunks.iter().collect())
}
