//! The threads that call sync handlers. They belong to the process.

use std::sync::{Arc, LazyLock};
use std::thread;

use super::lane::Lane;
use super::pool::Pool;

/// How many threads there are at most.
const MAX_WORKERS: usize = 64;

static POOL: Pool = Pool::new(MAX_WORKERS);

/// Has a worker run the lane.
pub(super) fn schedule(lane: Arc<Lane>) {
    POOL.schedule(lane);
}

/// How many threads the system can run at once.
pub(super) fn processors() -> usize {
    static PROCESSORS: LazyLock<usize> =
        LazyLock::new(|| thread::available_parallelism().map_or(1, usize::from));
    *PROCESSORS
}
