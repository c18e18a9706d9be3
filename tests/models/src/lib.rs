//! Models of what threads of `callbacks` do at once, each run through its interleavings by `shuttle`.
//!
//! What runs is the source of the crate itself: the files that are included here by their path, and
//! not copies of them. What they need from around them has a small stand-in: [`sync`](delivery::sync)
//! for what their threads meet at, [`runtime`](delivery::runtime) for tokio's runtimes, and so on.
//!
//! Each model says what is modelled, what is left out, and with which change of the source it fails.
//! [`explore`] says what is meant by its interleavings.
//!
//! Common to all of them is that shuttle treats all atomics as sequentially consistent, and that what
//! happens inside of tokio and of `futures-util` is one step.
#![cfg(test)]

mod delivery;
mod explore;
#[path = "../../../callbacks/src/handler/queue.rs"]
#[allow(dead_code, reason = "as much of it as a lane needs")]
mod handler;
mod log;
mod runs;
mod surroundings;

use surroundings::{EmitError, EventSet, Live, RunInfo, events, payload};

use std::pin::Pin;

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
