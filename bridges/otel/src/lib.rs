#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod builder;
mod capture;
mod content;
mod describe;
mod events;
mod handler;
#[cfg(feature = "sdk")]
mod losses;
mod metrics;
pub mod names;
mod open;
mod outcome;
mod parts;
pub mod propagation;
mod provider;
mod recording;
mod telemetry;

pub use builder::Builder;
pub use capture::Capture;
pub use handler::Otel;
#[cfg(feature = "sdk")]
pub use losses::{Counted, Losses};
