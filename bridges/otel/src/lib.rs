#![doc = include_str!("../README.md")]

mod builder;
mod describe;
mod handler;
pub mod names;
mod open;
mod outcome;

pub use builder::Builder;
pub use handler::Otel;
