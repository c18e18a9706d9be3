//! How an emitted event reaches the handlers that want it.
//!
//! The path of one event: the [`Dispatcher`](dispatcher::Dispatcher) of its set knows, for each event,
//! who listens and how. The event is numbered, queues are filled, inline handlers called and async ones polled.
//! [`emit`] does that on the short way, at its first poll; [`deliver`] does it where something has to be waited
//! for before, or is given beforehand.
//!
//! The rules of delivery, and who keeps them:
//!
//! | rule | is kept in |
//! |---|---|
//! | nobody listening costs nothing | `emission`, `registry` |
//! | where a method runs | `dispatcher`; `workers` for sync methods, `task` for async ones in the background; `blocking` where a thread waits; in which `surroundings` |
//! | everything queued is in the order of its numbers | `sequencer`, `lane`, `line` |
//! | an emission waits for awaited handlers, and for room | `delivering`, `waiting`, `room` |
//! | a failure is one handler's own | `call` |
//! | a terminal event, once begun, reaches everybody | `driven`, and `runs::closing` |
//! | decision events are asked in order, and fail closed | `asking` |
//! | inside a callback nothing waits | `callback`, `put_off`, `deferred` |
//! | a flush is honest | `ledger`, `flush` |

mod aftermath;
mod asking;
mod blocking;
mod call;
mod callback;
mod deferred;
mod delivering;
mod dispatcher;
mod driven;
mod emission;
mod flush;
mod lane;
mod ledger;
mod line;
mod perhaps;
mod pool;
mod put_off;
mod queued;
mod receipts;
mod registry;
mod room;
mod runtime;
mod sequencer;
mod surroundings;
pub(crate) mod sync;
mod task;
mod waiting;
mod wakers;
mod workers;

pub use flush::{FlushReport, HandlerReport};

pub(crate) use asking::{Replied, ask};
pub(crate) use blocking::{as_if_blocked, block_on, wait_for};
pub(crate) use call::{quietly, shown};
pub(crate) use callback::{holds, inside, owe};
pub(crate) use deferred::Turn;
pub(crate) use delivering::{Prepared, deliver};
pub(crate) use dispatcher::Entry;
pub(crate) use driven::{Driven, Waited, hand_on, to_its_end};
pub(crate) use emission::{Place, Site, emit};
pub(crate) use flush::flush;
pub(crate) use lane::Lane;
pub(crate) use ledger::Receipt;
pub(crate) use perhaps::Perhaps;
pub(crate) use put_off::PutOff;
pub(crate) use receipts::Receipts;
pub(crate) use registry::{Reach, Registry};
pub(crate) use room::{Room, places};
pub(crate) use sequencer::Sequencer;
pub(crate) use surroundings::Surroundings;
pub(crate) use sync::lock;
pub(crate) use wakers::wake;
