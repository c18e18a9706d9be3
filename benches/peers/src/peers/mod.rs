//! The systems that are measured, one file for each crate.

mod bare;
mod broadcast;
mod layer;
mod ours;
mod pool;

use std::sync::Arc;

use crate::handlers::Calls;
use crate::rows::Row;
use crate::subject::Subject;

/// A system, ready to be measured in a row.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// Nothing where the row asks for what the system does not have.
    pub(crate) subject: fn(Row, &Calls) -> Option<Box<dyn Subject>>,
}

/// The first is what the others are compared with.
pub(crate) const ALL: [Peer; 12] = [
    peer("bare", |row, calls| Some(bare::subject(row, calls))),
    peer("callbacks", ours::unheard),
    peer("callbacks, inline", ours::inline),
    peer("callbacks, on lanes", ours::lanes),
    peer("callbacks, async", ours::asynchronous),
    peer("callbacks, background, bursts of 64", ours::background),
    peer("tracing 0.1, one layer", layer::subject),
    peer("tokio broadcast", broadcast::unheard),
    peer("tokio broadcast, bursts of 64", broadcast::in_bursts),
    peer("tokio broadcast, each waited for", broadcast::waited_for),
    peer("spawn_blocking per event", pool::one_job),
    peer("spawn_blocking per event and handler", pool::job_each),
];

const fn peer(name: &'static str, subject: fn(Row, &Calls) -> Option<Box<dyn Subject>>) -> Peer {
    Peer { name, subject }
}

/// So many handlers of their own.
fn each<H>(n: usize, calls: &Calls, handler: fn(Calls) -> H) -> impl Iterator<Item = Arc<H>> {
    (0..n).map(move |_| Arc::new(handler(calls.clone())))
}
