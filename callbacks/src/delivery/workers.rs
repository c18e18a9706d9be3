//! The threads that call sync handlers. They belong to the process.

use std::sync::Arc;

use super::lane::Lane;
use super::pool::Pool;

/// How many threads there are at most.
const MAX_WORKERS: usize = 64;

static POOL: Pool = Pool::new(MAX_WORKERS);

/// Has a worker run the lane.
pub(super) fn schedule(lane: Arc<Lane>) {
    POOL.schedule(lane);
}
