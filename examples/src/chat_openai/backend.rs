//! Where answers come from. Each gives chunks, and leaves it to the model to emit them.

use std::time::Duration;

use callbacks::{Async, Chunk, Llm, Message, ModelParams, RunGuard, TokenUsage};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};

use super::{ChatError, Settings};
use crate::transcript::Transcript;

/// The pause before each token that was recorded.
const PACE: Duration = Duration::from_millis(30);

pub(super) type Chunks = BoxStream<'static, Result<Chunk, ChatError>>;

#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "openai"), derive(Default))]
pub(super) enum Backend {
    #[cfg_attr(not(feature = "openai"), default)]
    Recorded,
    #[cfg(feature = "openai")]
    Endpoint(Box<super::endpoint::Endpoint>),
    /// The environment names none that there can be.
    #[cfg(feature = "openai")]
    Nowhere(super::EndpointError),
}

#[cfg(feature = "openai")]
impl Default for Backend {
    fn default() -> Self {
        if let Ok(base_url) = std::env::var("OPENAI_BASE_URL") {
            let api_key = std::env::var("OPENAI_API_KEY").unwrap_or_default();
            return match super::endpoint::Endpoint::new(&base_url, &api_key) {
                Ok(endpoint) => Self::Endpoint(Box::new(endpoint)),
                Err(error) => Self::Nowhere(error),
            };
        }
        Self::Recorded
    }
}

impl Backend {
    /// The answer, in the pieces that it comes in: what is asked for as a whole may be one. What goes on
    /// until the first is there, is told in the run.
    #[cfg_attr(
        not(feature = "openai"),
        allow(unused_variables, reason = "what is recorded is not tried again")
    )]
    pub(super) async fn chunks<D: Sync>(
        &self,
        messages: &[Message],
        settings: &Settings,
        run: &RunGuard<Llm, Async, D>,
    ) -> Result<Chunks, ChatError> {
        match self {
            Self::Recorded => replay(messages, settings),
            #[cfg(feature = "openai")]
            Self::Endpoint(endpoint) => endpoint.chunks(messages, settings, run).await,
            #[cfg(feature = "openai")]
            Self::Nowhere(error) => Err(error.clone().into()),
        }
    }

    /// Adds where a call goes to.
    pub(super) fn locate(&self, params: ModelParams) -> ModelParams {
        match self {
            #[cfg(feature = "openai")]
            Self::Endpoint(endpoint) => endpoint.locate(params),
            _ => params,
        }
    }
}

fn replay(messages: &[Message], settings: &Settings) -> Result<Chunks, ChatError> {
    let prompt = messages.last().map(Message::text).unwrap_or_default();
    let transcript = Transcript::find(&prompt)?;
    let transcript = transcript.ok_or_else(|| ChatError::NotRecorded(prompt.into_owned()))?;

    let (mut chunks, mut used, mut finish_reason) = (Vec::new(), 0, "stop");
    for token in transcript.tokens {
        if !token.is_empty() && settings.max_tokens == Some(used) {
            finish_reason = "length";
            break;
        }
        used += u64::from(!token.is_empty());
        chunks.push(Chunk::text(token));
    }
    let last = chunks.pop().unwrap_or_default();
    let last = last
        .with_usage(TokenUsage::new().with_output_tokens(used))
        .with_extra("finish_reason", finish_reason)
        .with_extra("model", transcript.model);
    chunks.push(last);

    let paced = stream::iter(chunks).then(|chunk| async {
        tokio::time::sleep(PACE).await;
        Ok(chunk)
    });
    Ok(paced.boxed())
}
