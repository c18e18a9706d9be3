//! A server on loopback that is talked to like OpenAI's chat completions, and says what a test tells it to.
//!
//! Everything goes over real HTTP: whole answers as JSON, streams as server-sent events, with whatever goes
//! wrong on the way between a provider and its client.
//!
//! ```
//! use callbacks_loopback::{Answer, Event, Reply, Server};
//! use serde_json::json;
//!
//! # fn main() -> std::io::Result<()> {
//! let usage = json!({ "prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11 });
//! let server = Server::start([
//!     Reply::error(429, "slow down").header("retry-after", "7"),
//!     Answer::new(["Be", "cause"]).usage(usage).into(),
//!     Reply::from(Answer::new(["Be", "cause"])).after(2, Event::Cut),
//! ])?;
//! // for `OPENAI_BASE_URL`
//! assert!(server.base_url().starts_with("http://127.0.0.1:"));
//! // what it was asked
//! assert!(server.requests().is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! It runs on a thread of its own, so it does not matter whether the test blocks its thread, or has the time
//! of its runtime paused. Dropped, it is gone, with all its connections.

mod answer;
mod body;
mod gate;
mod reply;
mod request;
mod server;

pub use answer::Answer;
pub use gate::Gate;
pub use reply::{Event, Reply};
pub use request::Request;
pub use server::Server;
