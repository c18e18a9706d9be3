//! Asks an OpenAI-compatible endpoint, with `async-openai`.

use std::sync::Arc;
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
use super::{ChatError, EndpointError, Settings};

#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    /// For whole answers.
    whole: Client<OpenAIConfig>,
    /// For streams.
    streams: Client<OpenAIConfig>,
    url: Url,
}

impl Endpoint {
    pub(super) fn new(base_url: &str, api_key: &str) -> Result<Self, EndpointError> {
        let url = Url::parse(base_url)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(EndpointError::Scheme(url.scheme().to_owned()));
        }
        // They would not be sent, and are in all that shows the URL.
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::Credentials);
        }
        // The environment may have others, which are not for every endpoint.
        let config = OpenAIConfig::new().with_org_id("").with_project_id("");
        // Asked here, since the client panics.
        let authorization = format!("Bearer {api_key}");
        let header = config.clone().with_header("authorization", authorization);
        header.map_err(|_| EndpointError::ApiKey)?;
        let config = config
            .with_api_base(base_url.trim_end_matches('/'))
            .with_api_key(api_key);
        // Made here, since the client's own way to do it panics.
        let http = reqwest::Client::builder().build();
        let http = http.map_err(|error| EndpointError::Http(Arc::new(error)))?;
        let (client, service) = (
            Client::build(http.clone(), config),
            ReqwestService::new(http),
        );
        Ok(Self {
            whole: once(client.clone(), service.clone(), false),
            streams: once(client, service, true),
            url,
        })
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
        let mut reader = Reader::default();
        if !streaming {
            let piece = self.whole.chat().create_byot(request).await?;
            let chunks = reader.read(piece)?;
            // Some say with a 200, and JSON of their own, that they cannot.
            if !reader.has_begun() {
                return Err(ChatError::Unfinished);
            }
            return Ok(stream::iter(chunks).map(Ok).boxed());
        }
        let chat = self.streams.chat();
        let pieces = chat.create_stream_byot::<_, Piece>(request).await?;
        // Some means that it has not failed, and may be about to end.
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

/// The client, sending a request once: by itself it tries again, and nobody hears of it.
fn once(
    client: Client<OpenAIConfig>,
    service: ReqwestService,
    streams: bool,
) -> Client<OpenAIConfig> {
    client.with_http_service(tower::service_fn(move |request: HttpRequestFactory| {
        let service = service.clone();
        async move {
            let response = service.oneshot(request).await?;
            let (status, headers) = (response.status(), response.headers().clone());
            let header = |name| {
                let value = headers.get(name)?;
                Some(value.to_str().ok()?.to_owned())
            };
            let json = |kind: String| kind.starts_with("application/json");
            if status.is_success() && streams && header("content-type").is_some_and(json) {
                // An endpoint that does not stream, or cannot answer: to the client, that is a stream of nothing.
                let body = response.text().await?;
                let event =
                    serde_json::from_str(&body).map(|whole: Value| format!("data: {whole}\n\n"));
                return Ok(http::Response::new(event.unwrap_or(body)).into());
            }
            if status.is_success() {
                return Ok(response);
            }
            // Read here, since the client's error has no headers. Cut off, it is an error all the same.
            let body = response.text().await.unwrap_or_default();
            let said = match body.trim() {
                "" => status.canonical_reason().unwrap_or("no reason given"),
                said => said,
            };
            Err(boxed(refusal(status.as_u16(), header, said)))
        }
    }))
}
