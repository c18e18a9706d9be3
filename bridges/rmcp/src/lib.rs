#![doc = include_str!("../README.md")]

mod client;
mod error;
mod forward;
mod meta;
mod progress;
mod reply;
mod report;
mod run;
mod server;
mod transport;

pub use client::{Call, ToolClient};
pub use error::CallError;
pub use meta::{REMOTE_ROOT_ID, REMOTE_RUN_ID, RemoteRun, trace_context};
pub use progress::events;
pub use reply::Reply;
pub use report::ProgressReporter;
pub use server::ToolServer;
