//! Whoever hangs is told on, with its seed.

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
    pub(crate) fn new() -> Self {
        let (sender, seeds) = channel();
        thread::spawn(move || watch(&seeds));
        Self(sender)
    }

    /// This is played now.
    pub(crate) fn plays(&self, seed: u64) {
        // Nobody listens after the process is to end.
        let _ = self.0.send(seed);
    }
}

fn watch(seeds: &Receiver<u64>) {
    let Ok(mut seed) = seeds.recv() else {
        return;
    };
    loop {
        match seeds.recv_timeout(LONG) {
            Ok(next) => seed = next,
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                // `eprintln!` is kept back until the test is over, which it will not be.
                let _ = writeln!(io::stderr(), "SEED={seed}\nit hangs");
                process::exit(1);
            }
        }
    }
}
