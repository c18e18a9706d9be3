//! How an emitted event reaches the handlers that want it.
//!
//! The path of one event: the [`Dispatcher`] of its set knows, for each event, who listens and how;
//! [`deliver`] numbers it, fills the lanes, calls inline handlers, polls async ones, and waits.

mod call;
mod callback;
mod deferred;
mod dispatcher;
mod driven;
mod emission;
mod flush;
mod lane;
mod ledger;
mod pool;
mod queued;
mod receipts;
mod registry;
mod room;
mod runtime;
mod sequencer;
pub(crate) mod sync;
mod task;
mod waiting;
mod workers;

pub use flush::{FlushReport, HandlerReport};

pub(crate) use call::quietly;
pub(crate) use callback::{inside, owe};
pub(crate) use deferred::Turn;
pub(crate) use dispatcher::Entry;
pub(crate) use driven::{Driven, hand_on, poll_once_more};
pub(crate) use emission::{Place, Prepared, Site, deliver, emit, put_off};
pub(crate) use flush::flush;
pub(crate) use ledger::Receipt;
pub(crate) use queued::Surroundings;
pub(crate) use receipts::Receipts;
pub(crate) use registry::{Reach, Registry};
pub(crate) use room::{Room, places};
pub(crate) use sequencer::Sequencer;
pub(crate) use sync::lock;
