//! A small model of a framework that embeds `callbacks`: one chat model.

mod chat_openai;
mod transcript;

pub use chat_openai::{ChatError, ChatOpenAi};
