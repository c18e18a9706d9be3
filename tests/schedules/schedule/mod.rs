//! A schedule: what is to happen, played, and what happened, held against the rules.

mod guard;
mod heard;
mod hears;
pub(crate) mod history;
mod listeners;
mod open;
pub(crate) mod plan;
pub(crate) mod play;
pub(crate) mod rules;
pub(crate) mod watchdog;
mod world;
