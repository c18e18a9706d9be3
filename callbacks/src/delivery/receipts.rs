//! The receipts of an event that is on its way before it is delivered: a terminal event, or one
//! that is put off.

use std::iter::repeat_n;
use std::sync::Arc;

use super::dispatcher::{Background, Entry, Route};
use super::ledger::Receipt;
use crate::EventSet;

/// One for each call of a handler of a route, in its order.
#[derive(Default)]
pub(crate) struct Receipts {
    pub(super) inline: Vec<Option<Receipt>>,
    pub(super) lanes: Vec<Option<Receipt>>,
    pub(super) futures: Vec<Option<Receipt>>,
    pub(super) background: Vec<Option<Receipt>>,
}

impl Receipts {
    pub(crate) fn of<S: EventSet>(route: &Route<S>) -> Self {
        let receipt = |entry: &Arc<Entry<S>>| Some(entry.ledger.receipt());
        let calls = |to: &Background<S>| repeat_n(to.entry.clone(), to.calls());
        let background = route.background.iter().flat_map(calls);
        Self {
            inline: route.inline.iter().map(receipt).collect(),
            lanes: route.lanes.iter().map(receipt).collect(),
            futures: route.futures.iter().map(receipt).collect(),
            background: background.map(|entry| receipt(&entry)).collect(),
        }
    }
}

/// Those of one sort; none, if there are none at all.
pub(super) fn of<'r>(
    receipts: &'r mut Option<Box<Receipts>>,
    sort: impl FnOnce(&'r mut Receipts) -> &'r mut [Option<Receipt>],
) -> &'r mut [Option<Receipt>] {
    match receipts {
        Some(receipts) => sort(receipts),
        None => &mut [],
    }
}
