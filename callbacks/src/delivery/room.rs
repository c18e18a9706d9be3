//! Room in the bounded queues of background handlers.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use super::dispatcher::Background;
use super::wakers::QuietWaker;
use crate::EventSet;
use crate::handler::{OnFull, Queue};

/// What an event has in a queue.
pub(crate) enum Room {
    /// A place, until this is dropped.
    Place(#[allow(dead_code, reason = "it is held, that is all")] OwnedSemaphorePermit),
    /// No place of its own: it passes.
    Passes,
    /// None: it is not delivered.
    None,
}

/// The places of a queue that are free.
pub(crate) fn places(queue: Queue) -> Arc<Semaphore> {
    let capacity = queue.capacity.clamp(1, Semaphore::MAX_PERMITS);
    Arc::new(Semaphore::new(capacity))
}

/// Room in a queue, if it has not to be waited for.
pub(super) fn try_acquire<S: EventSet>(to: &Background<S>, free: Arc<Semaphore>) -> Option<Room> {
    match free.try_acquire_owned() {
        Ok(permit) => Some(Room::Place(permit)),
        Err(TryAcquireError::NoPermits) if to.queue.on_full == OnFull::Wait => None,
        Err(_) => Some(Room::None),
    }
}

/// Room in each of these queues.
///
/// All wait for them in the same order, holding what they have: otherwise two emissions could wait
/// for each other. Those that are one for all run trees come last, so that an event which waits for
/// them holds up its own tree alone.
pub(super) async fn acquire<S: EventSet>(
    queues: &[Background<S>],
    places: Vec<Arc<Semaphore>>,
) -> Vec<Room> {
    let mut free: Vec<_> = queues.iter().zip(places).enumerate().collect();
    free.sort_by_key(|(_, (to, free))| (to.entry.is_for_all_trees(), Arc::as_ptr(free).addr()));
    let mut room: Vec<Room> = queues.iter().map(|_| Room::None).collect();
    for (at, (to, free)) in free {
        let place = match to.queue.on_full {
            OnFull::Wait => wait_for_one(free).await,
            OnFull::DropNewest => free.try_acquire_owned().ok(),
        };
        if let (Some(room), Some(place)) = (room.get_mut(at), place) {
            *room = Room::Place(place);
        }
    }
    room
}

/// `None` if there is never one again. Who waits is woken whatever the executors of others do: places are given
/// back by destructors, too.
async fn wait_for_one(free: Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    let mut waker = QuietWaker::default();
    let mut acquires = pin!(free.acquire_owned());
    poll_fn(|cx| waker.poll(acquires.as_mut(), cx)).await.ok()
}
