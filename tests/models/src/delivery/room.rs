//! Stands in for the room in bounded queues, of which there are none here.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::handler::Queue;

#[allow(dead_code, reason = "no model has a bounded queue")]
pub(crate) fn places(queue: Queue) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(queue.capacity))
}
