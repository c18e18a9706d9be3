//! Whatever hangs is told on, with its number.

use std::io::{self, Write};
use std::process;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// A schedule takes milliseconds.
const LONG: Duration = Duration::from_secs(30);

/// Ends the process when nothing has been told it for long.
pub(crate) struct Watchdog(Sender<u64>);

impl Watchdog {
    /// What is numbered, it calls this.
    pub(crate) fn new(what: &'static str) -> Self {
        let (sender, numbers) = channel();
        thread::spawn(move || watch(what, &numbers));
        Self(sender)
    }

    /// This is played now.
    pub(crate) fn plays(&self, number: u64) {
        // Nobody listens after the process is to end.
        let _ = self.0.send(number);
    }
}

fn watch(what: &str, numbers: &Receiver<u64>) {
    let Ok(mut number) = numbers.recv() else {
        return;
    };
    loop {
        match numbers.recv_timeout(LONG) {
            Ok(next) => number = next,
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                // `eprintln!` is kept back until the test is over, which it will not be.
                let _ = writeln!(io::stderr(), "{what}={number}\nit hangs");
                process::exit(1);
            }
        }
    }
}
