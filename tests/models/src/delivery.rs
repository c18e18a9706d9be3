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
#[path = "../../../callbacks/src/delivery/pool.rs"]
mod pool;
#[path = "../../../callbacks/src/delivery/task.rs"]
mod task;

mod call;
mod room;
mod runtime;
pub(crate) mod sync;
mod workers;

mod models;
