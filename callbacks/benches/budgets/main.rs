//! What is promised of the costs of an emission, ours beside its bare counterpart in one run, on both
//! kinds of runtime.
//!
//! Nanoseconds are promised for a machine on which an awaited empty `async fn` takes 0.85 of them. They
//! are scaled by what it takes here.

mod compare;
#[path = "../sides/mod.rs"]
mod sides;

use std::env;

use compare::{Budget, Table};
use tokio::runtime::{Builder, Runtime};

const BUDGETS: [Budget; 8] = [
    // Beyond an awaited empty `async fn`.
    budget("unheard", 0.65, 1.0),
    budget("unheard in another set", 2.65, 1.0),
    budget("inline", 10.0, 1.2),
    budget("async, ready", 10.0, 1.2),
    budget("a timeout, in time", 1.0, 1.0),
    budget("start and end, unheard", 20.0, 1.0),
    budget("item of a stream, unheard", 5.0, 1.0),
    budget("item of a stream", 60.0, 1.2),
];

const fn budget(row: &'static str, fixed: f64, times: f64) -> Budget {
    Budget { row, fixed, times }
}

fn main() {
    // Not in a test.
    if env::args().all(|arg| arg != "--bench") {
        return;
    }
    let runtime = |mut builder: Builder| builder.enable_all().build();
    let runtimes = [
        ("current-thread runtime", Builder::new_current_thread()),
        ("multi-thread runtime", Builder::new_multi_thread()),
    ];
    for (name, builder) in runtimes {
        measure(name, &runtime(builder).expect("threads can be had"));
    }
}

fn measure(name: &str, runtime: &Runtime) {
    runtime.block_on(async {
        let mut table = Table {
            budgets: &BUDGETS,
            scale: compare::scale().await,
        };
        table.heading(name);
        sides::rows(&mut table).await;
    });
}
