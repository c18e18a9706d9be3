//! The example runs to its end.

#[path = "../examples/weather.rs"]
mod weather;

#[test]
fn the_example_runs() {
    weather::main().unwrap();
}
