#![doc = include_str!("../README.md")]

mod answer;
mod arrived;
mod hook;
mod messages;
mod model;
mod observe;
mod observed;
mod params;
mod rewrite;
mod runs;

pub use observe::{Observe, ObservedRun};
pub use observed::{Observed, emit_error};
