//! Why a chat model gave no answer.

use std::io;
#[cfg(feature = "openai")]
use std::sync::Arc;
#[cfg(feature = "openai")]
use std::time::Duration;

use callbacks::EmitError;

/// Why a chat model gave no answer, or not all of it.
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
    /// There can be no such endpoint.
    #[cfg(feature = "openai")]
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The endpoint answered with an error.
    #[cfg(feature = "openai")]
    #[error("{status}: {message}")]
    Refused {
        /// Of HTTP.
        status: u16,
        /// In the endpoint's words.
        message: String,
        /// What sort of error it is, in the endpoint's words.
        code: Option<String>,
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// The endpoint gave up in the middle of an answer.
    #[cfg(feature = "openai")]
    #[error("the answer was broken off: {0}")]
    BrokenOff(String),
    /// A stream ended, but not the answer in it.
    #[cfg(feature = "openai")]
    #[error("the answer has no end")]
    Unfinished,
    /// There was no answer, or it made no sense.
    #[cfg(feature = "openai")]
    #[error("the endpoint cannot be understood or reached")]
    Client(#[source] async_openai::error::OpenAIError),
}

/// Why there can be no such endpoint.
#[cfg(feature = "openai")]
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// Its address is no URL.
    #[error("the base URL is none: {0}")]
    Url(#[from] url::ParseError),
    /// It is not asked over HTTP.
    #[error("the base URL has to begin with `http://` or `https://`, not with `{0}:`")]
    Scheme(String),
    /// Its address has a user name or a password, which is not sent.
    #[error("the base URL has a user name or a password; the key goes into `OPENAI_API_KEY`")]
    Credentials,
    /// The key cannot be sent.
    #[error("the API key has a character that no header may have, such as the end of a line")]
    ApiKey,
    /// There can be no client: mostly, because the system has no root certificates.
    #[error("there can be no client")]
    Http(#[source] Arc<reqwest::Error>),
}
