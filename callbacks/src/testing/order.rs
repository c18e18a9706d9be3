//! Whether a record is in the order of the emissions.

use std::collections::HashMap;

use super::Recorded;
use crate::{EventSet, RunId};

pub(super) fn problems<S: EventSet>(history: &[Recorded<S>]) -> Vec<String> {
    let mut last: HashMap<RunId, &Recorded<S>> = HashMap::new();
    let mut problems = Vec::new();
    // What is emitted outside any run belongs to no tree.
    for call in history.iter().filter(|call| !call.run().id().is_nil()) {
        let newest = last.entry(call.run().root_id()).or_insert(call);
        if call.seq() < newest.seq() {
            problems.push(format!(
                "{} came after {}",
                described(call),
                described(newest)
            ));
        } else {
            *newest = call;
        }
    }
    problems
}

fn described<S: EventSet>(call: &Recorded<S>) -> String {
    let (method, seq) = (call.method(), call.seq());
    format!("{method} (#{seq}) of `{}`", call.run().name())
}
