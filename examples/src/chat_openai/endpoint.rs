//! Asks an OpenAI-compatible endpoint, with `async-openai`.

use std::time::Duration;

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::middleware::{HttpRequestFactory, ReqwestService};
use backon::{BackoffBuilder, ExponentialBuilder};
use callbacks::{Async, Llm, Message, ModelParams, RetryState, RunGuard};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::Value;
use tower::ServiceExt;
use url::Url;

use super::backend::Chunks;
use super::refusal::{boxed, refusal};
use super::wire::{Piece, Reader, request};
use super::{ChatError, Settings};

#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    client: Client<OpenAIConfig>,
    url: Url,
}

impl Endpoint {
    pub(super) fn new(base_url: &str, api_key: &str) -> Result<Self, url::ParseError> {
        let url = Url::parse(base_url)?;
        let config = OpenAIConfig::new()
            .with_api_base(base_url.trim_end_matches('/'))
            .with_api_key(api_key);
        // Without a service of one's own, the client tries again by itself, and nobody hears of it.
        let service = ReqwestService::default();
        let service = tower::service_fn(move |request: HttpRequestFactory| {
            let service = service.clone();
            async move {
                let response = service.oneshot(request).await?;
                if response.status().is_success() {
                    return Ok(response);
                }
                // Read here, since the client's error has no headers.
                let (status, headers) = (response.status().as_u16(), response.headers().clone());
                let body = response.text().await?;
                let header = |name| {
                    let value = headers.get(name)?;
                    Some(value.to_str().ok()?.to_owned())
                };
                Err(boxed(refusal(status, header, &body)))
            }
        });
        let client = Client::with_config(config).with_http_service(service);
        Ok(Self { client, url })
    }

    pub(super) fn locate(&self, mut params: ModelParams) -> ModelParams {
        params.server_address = self.url.host_str().map(str::to_owned);
        params.server_port = self.url.port_or_known_default();
        params
    }

    /// Tries until the endpoint begins to answer, and tells what failed in the run.
    pub(super) async fn chunks<D: Sync>(
        &self,
        messages: &[Message],
        settings: &Settings,
        run: &RunGuard<Llm, Async, D>,
    ) -> Result<Chunks, ChatError> {
        let request = request(messages, settings);
        let retries = settings.max_attempts.saturating_sub(1);
        let mut backoff = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(500))
            .with_max_delay(Duration::from_secs(8))
            .with_max_times(retries as usize)
            .with_jitter()
            .build();
        let mut attempt = 1;
        loop {
            let error = match self.ask(&request, settings.streaming).await {
                Ok(chunks) => return Ok(chunks),
                Err(error) => error,
            };
            let Some(wait) = backoff.next().and_then(|backoff| error.wait(backoff)) else {
                return Err(error);
            };
            let state = || {
                RetryState::new(attempt)
                    .with_max_attempts(settings.max_attempts)
                    .with_wait(wait)
                    .with_error(&error)
            };
            run.retry(state).await?;
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    async fn ask(&self, request: &Value, streaming: bool) -> Result<Chunks, ChatError> {
        let chat = self.client.chat();
        let mut reader = Reader::default();
        if !streaming {
            let chunks = reader.read(chat.create_byot(request).await?)?;
            return Ok(stream::iter(chunks).map(Ok).boxed());
        }
        // Some means that it has not failed, and may be about to end.
        let pieces = chat.create_stream_byot::<_, Piece>(request).await?;
        let chunks = stream::unfold(Some((pieces, reader)), |state| async {
            let (mut pieces, mut reader) = state?;
            let next = match pieces.next().await {
                Some(piece) => piece
                    .map_err(ChatError::from)
                    .and_then(|piece| reader.read(piece)),
                None if reader.finished() => return None,
                None => Err(ChatError::Unfinished),
            };
            let state = next.is_ok().then_some((pieces, reader));
            Some((next, state))
        });
        let chunks = chunks.map_ok(|chunks| stream::iter(chunks).map(Ok));
        Ok(chunks.try_flatten().boxed())
    }
}
