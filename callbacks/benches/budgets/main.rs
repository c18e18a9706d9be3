//! What is promised of the costs of an emission, ours beside its counterpart in one run, on both kinds of
//! runtime. Nanoseconds were promised on another machine: a row that is over by some is no failure here.
//! What holds everywhere is in `instructions`.

mod compare;
#[path = "../sides/mod.rs"]
mod sides;
mod waiting;

use std::env;

use compare::Table;
use sides::Limit;
use tokio::runtime::{Builder, Runtime};

const LIMITS: [Limit; 19] = [
    Limit::new("unheard", 1.5, 0.0, 1.0),
    Limit::new("unheard in another set", 3.5, 0.0, 1.0),
    Limit::new("inline", 10.0, 0.0, 1.2),
    Limit::new("async, ready", 10.0, 0.0, 1.2),
    Limit::new("a timeout, in time", 1.0, 0.0, 1.0),
    Limit::new("start and end, no handlers", 10.0, 0.0, 1.0),
    Limit::new("start and end, unheard", 20.0, 0.0, 1.0),
    // Nothing is promised of these: what they take, and some.
    Limit::new("item of a stream, unheard", 5.0, 0.0, 1.0),
    Limit::new("item of a stream", 60.0, 0.0, 1.2),
    Limit::new("async, suspended once", 2000.0, 0.0, 1.0),
    Limit::new("terminal event, async", 300.0, 0.0, 1.2),
    Limit::new("terminal event, lane", 300.0, 0.0, 1.2),
    Limit::new("lane", 0.0, 0.0, 1.2),
    Limit::new("lane, beside `spawn_blocking`", 0.0, 0.0, 0.5),
    Limit::new("lane, after 1 ms", 0.0, 0.0, 1.2),
    Limit::new("lane, after 1 ms, beside the same", 0.0, 0.0, 0.5),
    // Nothing is promised: less than a microsecond for each beside the change of threads.
    Limit::new("lanes, beside one `spawn_blocking`", 0.0, 1000.0, 1.0),
    Limit::new("background, a burst of 64", 0.0, 0.0, 3.0),
    Limit::new("background, after 20 µs", 0.0, 0.0, 1.2),
];

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
        let mut table = Table { limits: &LIMITS };
        table.heading(name);
        sides::rows(&mut table).await;
        waiting::rows(&mut table).await;
    });
}
