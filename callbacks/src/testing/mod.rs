//! Tools for tests: handlers that record, assertions about what they recorded, and handlers that fail.
//!
//! They are in the feature `testing`, which is for dev-dependencies:
//!
//! ```toml
//! [dev-dependencies]
//! callbacks = { path = "../callbacks/callbacks", features = ["testing"] } # from a clone beside your project
//! ```
//!
//! A framework that embeds this crate shows with a [`Recorder`] that it emits what it should.
//! [`assert_events!`] compares what was recorded with a list of patterns and prints the difference;
//! [`Recorder::assert_balanced`] sees to it that every run that started also ended, inside the run
//! around it. With a [`Faulty`] handler it shows that it holds out when a user's handler does not.
//!
//! ```
//! use callbacks::events::LlmNewToken;
//! use callbacks::testing::{Faulty, Recorder, assert_events};
//! use callbacks::{Callbacks, EmitError, LlmResult, Serialized};
//!
//! /// What is tested.
//! async fn answer(callbacks: &Callbacks) -> Result<(), EmitError> {
//!     static MODEL: Serialized = Serialized::new("MyModel");
//!     let run = callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]).await?;
//!     run.new_token("Because").await?;
//!     run.end(|| LlmResult::from_text("Because")).await
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let recorder = Recorder::new();
//! let panics = Faulty::panic("a user's bug").on::<LlmNewToken>();
//! let callbacks = Callbacks::new().with(panics.clone()).with(recorder.clone());
//!
//! answer(&callbacks).await?;
//!
//! assert_events!(
//!     recorder,
//!     [
//!         LlmStart,
//!         LlmNewToken { token: "Because" },
//!         LlmEnd { response } if response.text() == "Because",
//!     ]
//! );
//! recorder.assert_balanced();
//! assert_eq!(panics.calls(), 1);
//! # Ok::<(), EmitError>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What handlers fail with is logged through `tracing`. A subscriber that is set for the thread of a test does not hear
//! what runs on another, as most plain methods do that are not [inline](crate::Configured::inline).
//!
//! All of it works with event sets of one's own, too (`Recorder::of::<shop::Events>()`).

mod balance;
mod difference;
mod events;
mod faulty;
mod order;
mod problems;
mod recorded;
mod recorder;
mod stall;

use std::sync::{Mutex, MutexGuard, PoisonError};

#[doc(inline)]
pub use crate::__assert_events as assert_events;
pub use faulty::Faulty;
pub use problems::Problems;
pub use recorded::Recorded;
pub use recorder::Recorder;
pub use stall::Stall;

/// What [`assert_events!`] expands to.
#[doc(hidden)]
pub mod __private {
    pub use super::difference::{Expected, check};
    pub use super::events::Recording;
    pub use crate::{__check_events, __expected_event, __expected_field};
}

/// Locks what no code of users runs under, so that a panic leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
