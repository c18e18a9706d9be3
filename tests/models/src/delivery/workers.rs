//! Stands in for the threads of the process: a pool for each run of a model.

use std::cell::Cell;
use std::sync::Arc;

use super::lane::Lane;
use super::pool::Pool;

thread_local! {
    static MOST: Cell<usize> = const { Cell::new(2) };
}

shuttle::lazy_static! {
    static ref POOL: Pool = Pool::new(MOST.get());
}

/// In this run of the model, there are at most so many workers.
pub(super) fn at_most(workers: usize) {
    MOST.set(workers);
    let _ = &*POOL;
}

pub(super) fn schedule(lane: Arc<Lane>) {
    POOL.schedule(lane);
}

pub(super) fn processors() -> usize {
    1
}
