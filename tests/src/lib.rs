//! What several tests share: logs, handlers that write into them, and runs to start.

mod log;
mod logger;
mod polling;
mod tokens;
mod traced;

use std::time::Duration;

use callbacks::{Callbacks, EmitError, LlmRun, Serialized};

pub use log::Log;
pub use logger::{Logger, logger};
pub use polling::{wakers_left, yields};
pub use tokens::Tokens;
pub use traced::{Line, traced, traced_meanwhile};

/// A chain called `Chain`.
pub static CHAIN: Serialized = Serialized::new("Chain");
/// A model called `Model`.
pub static MODEL: Serialized = Serialized::new("Model");
/// A retriever called `Retriever`.
pub static RETRIEVER: Serialized = Serialized::new("Retriever");
/// A tool called `Tool`.
pub static TOOL: Serialized = Serialized::new("Tool");

/// Longer than anything takes that comes to an end.
pub const LONG: Duration = Duration::from_secs(60);

/// The prompts of a run.
#[must_use]
pub fn prompts() -> Vec<String> {
    vec!["Why?".to_owned()]
}

/// An open run of a model called `Model`.
///
/// # Panics
///
/// If its start fails.
pub async fn start(callbacks: &Callbacks) -> LlmRun {
    callbacks
        .llm_start(&MODEL, prompts)
        .await
        .expect("a run starts")
}

/// What was raised: the handler, its method, the error.
///
/// # Panics
///
/// If nothing was.
#[must_use]
pub fn raised(result: Result<(), EmitError>) -> (String, &'static str, String) {
    match result {
        Err(EmitError::Raised {
            handler,
            event,
            source,
        }) => (handler, event, source.to_string()),
        other => panic!("{other:?}"),
    }
}

/// The guides whose code is compiled and run.
#[cfg(doctest)]
mod guides {
    #[doc = include_str!("../../docs/embedding.md")]
    mod embedding {}

    #[doc = include_str!("../../docs/shutdown.md")]
    mod shutdown {}
}
