//! What others notice of a thread that waits: nothing. And what it leaves to them is done.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use callbacks::{Callbacks, Queue, callback_handler, handler};
use callbacks_tests::Log;
use serde_json::Value;
use tokio::runtime::Handle;

use super::{CHAIN, LONG, TOOL, current_thread, within};

/// An inline method that waits for its gate.
struct Gate(Mutex<mpsc::Sender<()>>, Mutex<mpsc::Receiver<()>>);

#[callback_handler]
impl Gate {
    fn on_custom_event(&self) {
        self.0.lock().unwrap().send(()).unwrap();
        let _ = self.1.lock().unwrap().recv_timeout(LONG);
    }
}

/// Waits until the other emission has returned.
struct Waits(Mutex<mpsc::Receiver<()>>);

#[callback_handler]
impl Waits {
    fn on_custom_event(&self) {
        self.0.lock().unwrap().recv_timeout(LONG).unwrap();
    }
}

struct Bystander(Log);

#[callback_handler]
impl Bystander {
    fn on_custom_event(&self) {
        self.0.add("custom event");
    }

    fn on_text(&self) {
        self.0.add("text");
    }
}

/// `two` is queued behind `one` before that is let go; then the thread of `one` is in another method.
#[test]
fn what_is_queued_behind_is_not_held_up() {
    let log = Log::new();
    let (entered, is_in) = mpsc::channel();
    let (open, gate) = mpsc::channel();
    let (returned, other) = mpsc::channel();
    let gate = Gate(Mutex::new(entered), Mutex::new(gate));
    let waits = handler(Waits(Mutex::new(other))).raise_errors();
    let callbacks = Callbacks::new()
        .with(handler(gate).inline())
        .with(waits)
        .with(Bystander(log.clone()));
    let chain = callbacks.blocking();
    let chain = chain.chain_start(&CHAIN, Value::Null).start().unwrap();
    let inside = chain.callbacks().clone();
    let one = thread::spawn(move || inside.custom_event("one", Value::Null));
    is_in.recv().unwrap();
    let two = thread::spawn(move || {
        chain.text("two").unwrap();
        returned.send(()).unwrap();
    });
    // Time for it to be queued; otherwise it just comes later.
    thread::sleep(Duration::from_millis(50));
    open.send(()).unwrap();
    one.join().unwrap().unwrap();
    two.join().unwrap();
    assert_eq!(log.lines(), ["custom event", "text"]);
}

/// Drops a guard in a method that nobody waits for.
struct Drops(Mutex<Option<Callbacks>>);

#[callback_handler]
impl Drops {
    fn on_custom_event(&self) {
        let Some(inside) = self.0.lock().unwrap().take() else {
            return;
        };
        let start = async { inside.tool_start(&TOOL, "inner").await };
        drop(futures_executor::block_on(start));
    }
}

struct Ends(Log, Mutex<mpsc::Sender<()>>);

#[callback_handler]
impl Ends {
    fn on_tool_start(&self) {
        self.0.add("start");
    }

    fn on_tool_error(&self) {
        self.0.add("error");
        self.1.lock().unwrap().send(()).unwrap();
    }
}

/// The runtime at hand of the method stands still while the thread of it does.
#[test]
fn what_a_background_method_leaves_is_done_beside_a_runtime_that_stands_still() {
    let lines = within(LONG, || {
        current_thread().block_on(async {
            let log = Log::new();
            let drops = Arc::new(Drops(Mutex::default()));
            let (sender, ended) = mpsc::channel();
            let callbacks = Callbacks::new()
                .with(handler(drops.clone()).background(Queue::bounded(8)))
                .with(Ends(log.clone(), Mutex::new(sender)))
                .blocking();
            let chain = callbacks.chain_start(&CHAIN, Value::Null).start().unwrap();
            *drops.0.lock().unwrap() = Some((**chain.callbacks()).clone());
            chain.custom_event("x", Value::Null).unwrap();
            ended.recv().unwrap();
            assert!(callbacks.flush(LONG).is_complete());
            log.lines()
        })
    });
    assert_eq!(lines, ["start", "error"]);
}

/// Says which runtime it is in where it is dropped.
struct Connection(Log);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.add(here());
    }
}

fn here() -> String {
    let here = Handle::try_current();
    here.map_or_else(
        |_| "no runtime".to_owned(),
        |here| format!("{:?}", here.id()),
    )
}

struct Pooled(Log);

#[callback_handler]
impl Pooled {
    async fn on_custom_event(&self) {
        let _connection = Connection(self.0.clone());
        self.0.add(here());
        std::future::pending::<()>().await;
    }
}

#[test]
fn what_a_method_holds_is_dropped_where_the_method_was() {
    let emits = || {
        let log = Log::new();
        let pooled = handler(Pooled(log.clone())).timeout(Duration::from_millis(20));
        let callbacks = Callbacks::new().with(pooled).blocking();
        callbacks.custom_event("x", Value::Null).unwrap();
        let lines = log.lines();
        assert_eq!(lines[0], lines[1]);
        assert_ne!(lines[0], "no runtime");
    };
    emits();
    current_thread().block_on(async { emits() });
}
