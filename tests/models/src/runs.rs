//! The files of the crate's `runs`, and what stands in for the others.

#[path = "../../../callbacks/src/runs/closing.rs"]
mod closing;
#[path = "../../../callbacks/src/runs/tree.rs"]
mod tree;

mod kinds;

/// As in the crate, where there are more.
const DEEP: usize = 2;

mod models;
