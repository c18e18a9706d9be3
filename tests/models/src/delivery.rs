//! The files of the crate's `delivery`, and what stands in for the others.

#[path = "../../../callbacks/src/delivery/deferred.rs"]
mod deferred;
#[path = "../../../callbacks/src/delivery/driven.rs"]
mod driven;
#[path = "../../../callbacks/src/delivery/lane.rs"]
#[allow(dead_code, reason = "no model has a bounded queue")]
mod lane;
#[path = "../../../callbacks/src/delivery/ledger.rs"]
#[allow(dead_code, reason = "a report asks for more")]
mod ledger;
#[path = "../../../callbacks/src/delivery/line.rs"]
mod line;
#[path = "../../../callbacks/src/delivery/pool.rs"]
mod pool;
#[path = "../../../callbacks/src/delivery/task.rs"]
mod task;
#[path = "../../../callbacks/src/delivery/wakers.rs"]
mod wakers;

mod call;
mod emission;
mod room;
mod runtime;
pub(crate) mod sync;
mod workers;

mod models;

pub(crate) use call::{holds, inside, owe, quietly};
pub(crate) use deferred::Turn;
pub(crate) use driven::{Driven, Waited, hand_on, to_its_end};
pub(crate) use emission::{
    Heard, Place, Prepared, Receipts, Registry, Sequencer, Site, Surroundings, deliver,
};
pub(crate) use runtime::{Handle, as_if_blocked, own_runtime};
