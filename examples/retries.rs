//! A retry counter: what was tried again how often, and why. And what a framework does for it.
//!
//! ```sh
//! cargo run --example retries
//! ```

use std::collections::BTreeMap;

use callbacks::{BoxError, Callbacks, Exclusive, RetryState, Run};
use callbacks::{RunError, Serialized, callback_handler};
use serde_json::json;

#[derive(Debug, Default)]
struct Retries(BTreeMap<(String, String), u32>);

#[callback_handler]
impl Retries {
    fn on_retry(&mut self, retry_state: &RetryState, run: &Run<'_>) {
        let error = retry_state.error.as_ref().map(ToString::to_string);
        let key = (run.name().to_owned(), error.unwrap_or_default());
        *self.0.entry(key).or_default() += 1;
    }
}

/// A tool of a framework, which says so when it tries again.
async fn fetch(page: &str, callbacks: &Callbacks) -> Result<String, BoxError> {
    static FETCH: Serialized = Serialized::new("Fetch");
    let run = callbacks.tool_start(&FETCH, page).await?;
    let mut fetched = download(page, 1);
    for attempt in 1..3 {
        let Err(error) = fetched else { break };
        let state = RetryState::new(attempt).with_error(RunError::new(error));
        run.retry(state.with_max_attempts(3)).await?;
        fetched = download(page, attempt + 1);
    }
    run.finish(fetched.map(|text| json!(text)).map_err(RunError::new))
        .await?;
    Ok(fetched?.to_owned())
}

/// A server that is not quite there.
fn download(page: &str, attempt: u32) -> Result<&str, &'static str> {
    match (page, attempt) {
        ("slow", 1) => Err("timed out"),
        ("gone", _) | ("busy", 1) => Err("503 service unavailable"),
        _ => Ok(page),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let retries = Exclusive::new(Retries::default());
    let callbacks = Callbacks::new().with(retries.clone());
    for page in ["home", "slow", "busy", "gone"] {
        println!("{page}: {:?}", fetch(page, &callbacks).await);
    }
    for ((run, error), count) in retries.with(|retries| retries.0.clone()) {
        let times = match count {
            1 => "once".to_owned(),
            _ => format!("{count} times"),
        };
        println!("{run} tried again {times}: {error}");
    }
}
