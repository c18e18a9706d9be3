//! What telling handlers of one streamed token costs with `callbacks` and with its peers, in one table.
//!
//! `--quick` only asserts how often handlers are called, `--multi-thread` emits from a worker of a
//! multi-thread runtime instead of a current-thread one.

mod handlers;
mod measure;
mod peers;
mod rows;
mod subject;
mod table;

use std::env;

use tokio::runtime::{Builder, Runtime};

use crate::measure::{Effort, measure};
use crate::rows::Row;

fn main() {
    let (mut effort, mut builder) = (Effort::Full, Builder::new_current_thread());
    for argument in env::args().skip(1) {
        match argument.as_str() {
            "--quick" => effort = Effort::Quick,
            "--multi-thread" => builder = Builder::new_multi_thread(),
            _ => {
                eprintln!(
                    "unknown argument `{argument}`; there are `--quick` and `--multi-thread`"
                );
                std::process::exit(2);
            }
        }
    }
    let runtime = builder
        .enable_all()
        .build()
        .expect("a runtime can be built");

    peers::check(&runtime);
    for row in Row::ALL {
        let results = measure(&runtime, row, effort);
        table::print(row, &results, effort);
    }
    if matches!(effort, Effort::Quick) {
        println!("all handlers were called as often as they should be");
    }
}

/// Runs it as a task, which is where frameworks emit from.
fn on_a_task<T: Send + 'static>(
    runtime: &Runtime,
    future: impl Future<Output = T> + Send + 'static,
) -> T {
    let task = runtime.spawn(future);
    runtime
        .block_on(task)
        .expect("what is measured does not panic")
}
