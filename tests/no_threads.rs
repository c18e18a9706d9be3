//! Where the system gives no more threads. That is of the whole process, so it is one of its own.
#![cfg(target_os = "linux")]

use std::cell::Cell;
use std::process::{self, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use std::{env, thread};

use callbacks::{BlockingCallbacks, Callbacks, callback_handler};
use callbacks_tests::{CHAIN, Log};
use serde_json::Value;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Tells the process that it is the one without threads.
const CHILD: &str = "CALLBACKS_NO_THREADS";
const CODE: i32 = 7;
/// So much memory is all that the child has, in KiB.
const MEMORY: &str = "1000000";

#[test]
fn a_subscriber_may_emit_where_there_is_no_thread_for_a_runtime() {
    if env::var_os(CHILD).is_some() {
        process::exit(without_threads());
    }
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -v $1 && exec $0 --nocapture --test-threads 1"])
        .arg(env::current_exe().unwrap())
        .arg(MEMORY)
        .env(CHILD, "1")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            None if begun.elapsed() < Duration::from_secs(30) => {
                thread::sleep(Duration::from_millis(5));
            }
            None => {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            Some(status) => break status.code(),
        }
    };
    assert_eq!(status, Some(CODE), "it hangs, if there is none");
}

/// Hears of chains, in an async method: for that, a thread that waits needs a runtime.
struct Hears(Log);

#[callback_handler]
impl Hears {
    async fn on_chain_start(&self) {
        self.0.add("start");
    }

    async fn on_chain_end(&self) {
        self.0.add("end");
    }
}

/// Starts a chain and ends it, for each thing that is logged.
struct Emits {
    callbacks: OnceLock<BlockingCallbacks>,
}

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

impl Subscriber for Emits {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {
        if !INSIDE.replace(true) {
            if let Some(callbacks) = self.callbacks.get() {
                chain(callbacks);
            }
            INSIDE.set(false);
        }
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn chain(callbacks: &BlockingCallbacks) {
    let chain = callbacks.chain_start(&CHAIN, Value::Null).start().unwrap();
    chain.end(Value::Null).unwrap();
}

fn without_threads() -> i32 {
    let log = Log::new();
    let callbacks = Callbacks::new().with(Hears(log.clone())).blocking();
    let emits = Arc::new(Emits {
        callbacks: OnceLock::from(callbacks.clone()),
    });
    let _emits = tracing::subscriber::set_default(emits);
    // Not enough is left for the stack of a thread.
    let mut taken = Vec::with_capacity(1 << 12);
    let mut more = Vec::<u8>::new();
    while more.try_reserve_exact(1 << 20).is_ok() {
        taken.push(std::mem::take(&mut more));
    }
    assert!(thread::Builder::new().spawn(|| {}).is_err());
    chain(&callbacks);
    drop(taken);
    // What the subscriber emitted was put off, as in a handler, and there is no thread to do it.
    assert_eq!(log.lines(), ["start", "end"]);
    CODE
}
