//! Prints a row: one line for each system in it.

use crate::measure::{Effort, Measured};
use crate::rows::Row;

pub(crate) fn print(row: Row, results: &[Measured], effort: Effort) {
    if matches!(effort, Effort::Quick) {
        println!("{row}: {} systems", results.len());
        return;
    }
    println!(
        "{:52} {:>10} {:>8} {:>7} {:>7}",
        row.to_string(),
        "ns/event",
        "x bare",
        "allocs",
        "called"
    );
    // The first system of each row is the floor.
    let bare = results.first().map_or(f64::NAN, |floor| floor.nanos);
    for result in results {
        let called = match result.called {
            0 if row.calls() > 0 => "never".to_owned(),
            called => called.to_string(),
        };
        println!(
            "  {:50} {:10.1} {:8.1} {:7.1} {called:>7}",
            result.name,
            result.nanos,
            result.nanos / bare,
            result.allocations,
        );
    }
    println!();
}
