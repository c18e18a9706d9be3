//! A small model of a framework that embeds `callbacks`: one chat model, one tool.

mod chat_openai;
mod shell;
pub mod tea_house;
mod transcript;

#[cfg(feature = "openai")]
pub use chat_openai::EndpointError;
pub use chat_openai::{ChatError, ChatOpenAi};
pub use shell::Shell;

/// The guide whose code is compiled.
#[cfg(all(doctest, feature = "openai"))]
#[doc = include_str!("../../docs/openai.md")]
mod guide {}
