//! An endpoint's error, and whether it is worth another try.

use std::error::Error;
use std::time::{Duration, SystemTime};

use async_openai::error::OpenAIError;
use serde_json::Value;

use super::ChatError;

/// Who asks for more than this is not waited for that long.
const LONGEST: Duration = Duration::from_secs(60);

/// The error that a response is.
pub(super) fn refusal(
    status: u16,
    header: impl Fn(&'static str) -> Option<String>,
    body: &str,
) -> ChatError {
    let json: Value = serde_json::from_str(body).unwrap_or_default();
    let error = &json["error"];
    let code = error["code"].as_str().or(error["type"].as_str());
    ChatError::Refused {
        status,
        message: problem(error).unwrap_or_else(|| body.to_owned()),
        code: code.map(str::to_owned),
        retry_after: retry_after(header),
    }
}

/// What an `error` says. Endpoints have objects there, and texts.
pub(super) fn problem(error: &Value) -> Option<String> {
    let message = error["message"].as_str().or(error.as_str());
    message.map(str::to_owned)
}

/// Milliseconds, seconds, or a date.
fn retry_after(header: impl Fn(&'static str) -> Option<String>) -> Option<Duration> {
    let number = |name, unit: f64| {
        let number: f64 = header(name)?.trim().parse().ok()?;
        Duration::try_from_secs_f64(number * unit).ok()
    };
    let date = || {
        let date = httpdate::parse_http_date(&header("retry-after")?).ok()?;
        Some(date.duration_since(SystemTime::now()).unwrap_or_default())
    };
    number("retry-after-ms", 1e-3)
        .or_else(|| number("retry-after", 1.0))
        .or_else(date)
}

impl ChatError {
    /// How long to wait until another try, if it is worth one: as long as the endpoint says, unless that
    /// is too long, or else `backoff`.
    pub(super) fn wait(&self, backoff: Duration) -> Option<Duration> {
        match self {
            // Paying would help, and waiting does not.
            Self::Refused {
                code: Some(code), ..
            } if code == "insufficient_quota" => None,
            Self::Refused {
                status: 408 | 409 | 429 | 500..,
                retry_after,
                ..
            } => Some(
                retry_after
                    .filter(|wait| *wait <= LONGEST)
                    .unwrap_or(backoff),
            ),
            Self::Client(OpenAIError::Reqwest(error)) if error.is_connect() => Some(backoff),
            _ => None,
        }
    }
}

impl From<OpenAIError> for ChatError {
    fn from(error: OpenAIError) -> Self {
        match error {
            OpenAIError::Boxed(error) => match error.downcast() {
                Ok(refused) => *refused,
                Err(error) => Self::Client(OpenAIError::Boxed(error)),
            },
            error => Self::Client(error),
        }
    }
}

/// On its way through the client.
pub(super) fn boxed(refused: ChatError) -> OpenAIError {
    OpenAIError::Boxed(Box::<dyn Error + Send + Sync>::from(refused))
}
