//! The systems that are measured, one file for each crate.

mod agent_chain;
mod bare;
mod broadcast;
mod cognis;
mod layer;
mod lc;
mod ours;
mod pool;
mod rig;

use std::sync::Arc;

use tokio::runtime::Runtime;

use crate::handlers::Calls;
use crate::rows::Row;
use crate::subject::Subject;

/// A system, ready to be measured in a row.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// Nothing where the row asks for what the system does not have.
    pub(crate) subject: fn(Row, &Calls) -> Option<Box<dyn Subject>>,
    pub(crate) handlers: Handlers,
}

/// Whether the handlers that were registered are called.
#[derive(Clone, Copy)]
pub(crate) enum Handlers {
    Called,
    NeverCalled,
}

/// The first is what the others are compared with.
pub(crate) const ALL: [Peer; 16] = [
    called("bare", |row, calls| Some(bare::subject(row, calls))),
    called("callbacks", ours::unheard),
    called("callbacks, inline", ours::inline),
    called("callbacks, on lanes", ours::lanes),
    called("callbacks, async", ours::asynchronous),
    called("callbacks, background, bursts of 64", ours::background),
    called("lc-callbacks 0.28.0", |row, calls| {
        Some(lc::subject(row, calls))
    }),
    Peer {
        name: "agent-chain-core 0.0.3",
        subject: |row, calls| Some(agent_chain::subject(row, calls)),
        handlers: Handlers::NeverCalled,
    },
    called("cognis-core 0.3.2", cognis::subject),
    called("rig-agent 0.44.0, hook stack", rig::subject),
    called("tracing 0.1, one layer", layer::subject),
    called("tokio broadcast", broadcast::unheard),
    called("tokio broadcast, bursts of 64", broadcast::in_bursts),
    called("tokio broadcast, each waited for", broadcast::waited_for),
    called("spawn_blocking per event", pool::one_job),
    called("spawn_blocking per event and handler", pool::job_each),
];

const fn called(name: &'static str, subject: fn(Row, &Calls) -> Option<Box<dyn Subject>>) -> Peer {
    Peer {
        name,
        subject,
        handlers: Handlers::Called,
    }
}

/// What is asserted once: that a peer's handlers are called where the peer itself emits, too.
pub(crate) fn check(runtime: &Runtime) {
    rig::check(runtime);
}

/// So many handlers of their own.
fn each<H>(n: usize, calls: &Calls, handler: fn(Calls) -> H) -> impl Iterator<Item = Arc<H>> {
    (0..n).map(move |_| Arc::new(handler(calls.clone())))
}
