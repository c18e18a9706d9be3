//! A chat model that emits callbacks. It replays recorded answers.

use std::io;
use std::time::Duration;

use callbacks::{
    Asked, Callbacks, EmitError, Generation, LlmOutput, LlmResult, LlmRun, Message, ModelParams,
    Serialized, TokenUsage,
};

use crate::transcript::Transcript;

static CHAT_OPENAI: Serialized = Serialized::new("ChatOpenAI");

/// The pause before each token.
const PACE: Duration = Duration::from_millis(30);

/// A chat model.
#[derive(Clone, Debug, Default)]
pub struct ChatOpenAi {
    max_tokens: Option<u64>,
    streaming: bool,
    callbacks: Callbacks,
}

/// Why a chat model gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChatError {
    /// Nothing was recorded for this prompt.
    #[error("no recorded answer to {0:?}")]
    NotRecorded(String),
    /// What was recorded cannot be read.
    #[error("a recorded answer cannot be read")]
    Recording(#[from] io::Error),
    /// A callback stopped the run.
    #[error(transparent)]
    Callback(#[from] EmitError),
}

impl ChatOpenAi {
    /// A model with default settings.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends an answer after so many tokens.
    #[must_use]
    pub fn max_tokens(mut self, max_tokens: u64) -> Self {
        self.max_tokens = Some(max_tokens);
        self
    }

    /// Whether to emit each token as it comes.
    #[must_use]
    pub fn streaming(mut self, streaming: bool) -> Self {
        self.streaming = streaming;
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
            let start = self.callbacks.chat_model_start(&CHAT_OPENAI, messages);
            let answer = match start.params(|| self.params()).ask().await? {
                Asked::Answered(answer) => answer,
                Asked::Go(run) => {
                    // The messages as handlers decided, if they did.
                    let messages = run.messages().unwrap_or(messages).to_vec();
                    let run = run.into_run();
                    let answer = self.answer(&messages, &run).await;
                    run.finish(answer.as_ref()).await?;
                    answer?
                }
            };
            result.generations.extend(answer.generations);
            result.llm_output.token_usage += &answer.llm_output.token_usage;
            result.llm_output.model_name = answer.llm_output.model_name;
        }
        Ok(result)
    }

    async fn answer(&self, messages: &[Message], run: &LlmRun) -> Result<LlmResult, ChatError> {
        let prompt = messages.last().map(Message::text).unwrap_or_default();
        let transcript = Transcript::find(&prompt)?;
        let transcript = transcript.ok_or_else(|| ChatError::NotRecorded(prompt.into_owned()))?;

        let (mut text, mut used, mut finish_reason) = (String::new(), 0, "stop");
        for token in &transcript.tokens {
            if !token.is_empty() && self.max_tokens == Some(used) {
                finish_reason = "length";
                break;
            }
            tokio::time::sleep(PACE).await;
            if self.streaming {
                run.new_token(token).await?;
            }
            text.push_str(token);
            used += u64::from(!token.is_empty());
        }

        let generation =
            Generation::from_message(Message::ai(text)).with_finish_reason(finish_reason);
        let output = LlmOutput::new()
            .with_model_name(transcript.model)
            .with_token_usage(TokenUsage::new().with_output_tokens(used));
        Ok(LlmResult::new(vec![vec![generation]]).with_llm_output(output))
    }

    fn params(&self) -> ModelParams {
        let params = ModelParams::new()
            .with_provider("openai")
            .with_model("gpt-3.5-turbo")
            .with_stream(self.streaming);
        match self.max_tokens {
            Some(max_tokens) => params.with_max_tokens(max_tokens),
            None => params,
        }
    }
}
