//! How many instructions an emission takes, ours and its bare counterpart in one binary, counted by
//! valgrind. Times of a few nanoseconds are as good as the machine is quiet; these are the same every
//! time. Fails if a row takes more than it may.

mod sides;

use std::pin::pin;
use std::process::{Command, ExitCode};
use std::task::{Context, Poll, Waker};
use std::{env, io};

use sides::{Limit, Row, Rows};

/// A tenth more than was counted, for compilers differ.
const LIMITS: [Limit; 9] = [
    // One look at what the run's handlers want. What the event is made of is not even written down.
    Limit::new("unheard", 41.0, 0.0, 1.0),
    // The run knows only of the built-in events, so the set is looked up in the registry.
    Limit::new("unheard in another set", 65.0, 0.0, 1.0),
    // The event is written down and its route looked up; the place is asked whether anything is before
    // it, and numbers it; the thread is marked as inside a callback, and panics are caught. A handler is
    // called through one more function than the bare one, which takes the event apart.
    Limit::new("inline", 325.0, 6.0, 1.0),
    // The same, and what has to be kept if one waits. A handler's future is polled with the mark set.
    Limit::new("async, ready", 390.0, 30.0, 1.0),
    // No timer before the first poll is pending.
    Limit::new("a timeout, in time", 5.0, 0.0, 1.0),
    // A guard that holds a clone of its `Callbacks`, and is moved to where it is wanted.
    Limit::new("start and end, no handlers", 210.0, 0.0, 1.0),
    Limit::new("start and end, unheard", 240.0, 0.0, 1.0),
    // The stream's state is looked at before and after the item.
    Limit::new("item of a stream, unheard", 85.0, 0.0, 1.0),
    // A chunk is made of the item and told, and taken into the answer if its end is heard.
    Limit::new("item of a stream", 610.0, 0.0, 1.0),
];

fn main() -> io::Result<ExitCode> {
    let args = env::args().collect::<Vec<_>>();
    if let [_, count, row, side, times] = &*args
        && count == "count"
    {
        at_once(sides::rows(&mut Counted {
            skip: row.parse().expect("written below"),
            ours: side == "ours",
            times: times.parse().expect("written below"),
        }));
        return Ok(ExitCode::SUCCESS);
    }
    // Not in a test.
    if args.iter().all(|arg| arg != "--bench") {
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = List(Vec::new());
    at_once(sides::rows(&mut rows));
    println!(
        "{:26} {:>8}  {:>8} {:>8} {:>6}  {:>8}",
        "instructions", "handlers", "ours", "beside", "ratio", "at most"
    );
    let mut code = ExitCode::SUCCESS;
    for (at, &row) in rows.0.iter().enumerate() {
        let (ours, bare) = (each(at, "ours")?, each(at, "bare")?);
        let at_most = Limit::of(&LIMITS, row, bare);
        let Row(name, handlers) = row;
        let over = if ours > at_most { "  over" } else { "" };
        if ours > at_most {
            code = ExitCode::FAILURE;
        }
        println!(
            "{name:26} {handlers:8}  {ours:8.1} {bare:8.1} {:6.2}  {at_most:8.1}{over}",
            ours / bare,
        );
    }
    Ok(code)
}

/// The instructions of one time of a row: what more times take than fewer, for the rest is what a
/// process does besides.
fn each(row: usize, side: &str) -> io::Result<f64> {
    const FEW: u32 = 1_000;
    const MANY: u32 = 3_000;
    let more = count(row, side, MANY)? - count(row, side, FEW)?;
    Ok(more / f64::from(MANY - FEW))
}

fn count(row: usize, side: &str, times: u32) -> io::Result<f64> {
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe()?)
        .args(["count", &row.to_string(), side, &times.to_string()])
        .output()
        .map_err(|error| io::Error::other(format!("valgrind cannot be run: {error}")))?;
    let said = String::from_utf8_lossy(&run.stderr);
    let mut lines = said.lines();
    let collected = lines.find_map(|line| line.split_once("Collected :"));
    let number = collected.and_then(|(_, number)| number.trim().parse().ok());
    number.ok_or_else(|| io::Error::other(format!("valgrind: {said}")))
}

/// Only says what rows there are.
struct List(Vec<Row>);

impl Rows for List {
    async fn row(&mut self, row: Row, _: impl AsyncFnMut(), _: impl AsyncFnMut()) {
        self.0.push(row);
    }
}

/// Runs one side of one row.
struct Counted {
    skip: usize,
    ours: bool,
    times: u32,
}

impl Rows for Counted {
    async fn row(&mut self, _: Row, ours: impl AsyncFnMut(), bare: impl AsyncFnMut()) {
        let this = self.skip == 0;
        self.skip = self.skip.wrapping_sub(1);
        match (this, self.ours) {
            (false, _) => {}
            (true, true) => repeat(self.times, ours).await,
            (true, false) => repeat(self.times, bare).await,
        }
    }
}

async fn repeat(times: u32, mut op: impl AsyncFnMut()) {
    for _ in 0..times {
        op().await;
    }
}

/// The output of a future that waits for nothing. A runtime would take more than what it runs.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("nothing here waits"),
    }
}
