//! What others notice of a thread that waits: nothing. And what it leaves to them is done.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use callbacks::{Callbacks, Exclusive, Queue, callback_handler, handler};
use callbacks_tests::{CHAIN, Log, TOOL, logger};
use futures_util::StreamExt;
use serde_json::Value;
use tokio::runtime::Handle;

use super::lanes::gated;
use super::{LONG, current_thread, within};

/// Less than anything waits in here for its gate.
const SOON: Duration = Duration::from_secs(5);

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

/// "A slow handler delays emissions that wait for it and its own queue, nothing else": not the queue of
/// another handler, which all run trees share.
#[test]
fn a_slow_method_holds_up_no_queue_of_another_tree() {
    #[derive(Default)]
    struct Counter(u32);

    #[callback_handler]
    impl Counter {
        fn on_custom_event(&mut self) {
            self.0 += 1;
        }
    }

    let counter = Exclusive::new(Counter::default());
    let background = || handler(counter.clone()).background(Queue::bounded(64));
    let (gated, is_in, open) = gated();
    let slow = Callbacks::new().with(background()).with(gated);
    let other = Callbacks::new().with(background());
    let caller = thread::spawn(move || {
        let callbacks = slow.blocking();
        callbacks.custom_event("slow", Value::Null).unwrap();
    });
    is_in.recv().unwrap();
    let other = other.blocking();
    other.custom_event("mine", Value::Null).unwrap();
    let report = other.flush(SOON);
    open.send(()).unwrap();
    caller.join().unwrap();
    assert!(report.is_complete(), "{report:?}");
}

/// Whoever reads records is woken before the methods are called.
#[test]
fn a_slow_method_holds_up_no_records() {
    let (gated, is_in, open) = gated();
    let callbacks = Callbacks::new().with(gated);
    let (callbacks, mut records) = callbacks.record(Queue::bounded(64));
    let (sender, read) = mpsc::channel();
    let reader = thread::spawn(move || {
        let record = futures_executor::block_on(records.next());
        sender.send(record.map(|record| record.method())).unwrap();
        records
    });
    // Time for what is wrong to happen.
    thread::sleep(Duration::from_millis(50));
    let caller = thread::spawn(move || {
        callbacks
            .blocking()
            .custom_event("slow", Value::Null)
            .unwrap();
    });
    is_in.recv().unwrap();
    let read = read.recv_timeout(SOON);
    open.send(()).unwrap();
    caller.join().unwrap();
    drop(reader.join().unwrap());
    assert!(read.is_ok(), "it reads nothing until the handler returns");
}

/// What it puts off is for others to do while it goes on.
#[test]
fn a_slow_method_that_emits_holds_up_nobody_in_its_tree() {
    struct Emits(
        Mutex<Option<Callbacks>>,
        Mutex<mpsc::Sender<()>>,
        Mutex<mpsc::Receiver<()>>,
    );

    #[callback_handler]
    impl Emits {
        fn on_custom_event(&self, name: &str) {
            if name == "slow" {
                let inside = self.0.lock().unwrap().take().unwrap();
                inside
                    .blocking()
                    .custom_event("put off", Value::Null)
                    .unwrap();
                self.1.lock().unwrap().send(()).unwrap();
                let _ = self.2.lock().unwrap().recv_timeout(LONG);
            }
        }
    }

    for blocks in [false, true] {
        let (entered, is_in) = mpsc::channel();
        let (open, gate) = mpsc::channel();
        let emits = Arc::new(Emits(
            Mutex::default(),
            Mutex::new(entered),
            Mutex::new(gate),
        ));
        let (others, log) = logger();
        let chain = others.blocking();
        let chain = chain.chain_start(&CHAIN, Value::Null).start().unwrap();
        let inside: Callbacks = (**chain.callbacks()).clone();
        *emits.0.lock().unwrap() = Some(inside.clone());
        let slow = inside.with(emits);
        let caller = thread::spawn(move || {
            if blocks {
                slow.blocking().custom_event("slow", Value::Null).unwrap();
            } else {
                futures_executor::block_on(slow.custom_event("slow", Value::Null)).unwrap();
            }
        });
        is_in.recv().unwrap();
        let (sender, done) = mpsc::channel();
        let other = thread::spawn(move || {
            chain.text("mine").unwrap();
            sender.send(()).unwrap();
            chain
        });
        let done = done.recv_timeout(SOON);
        open.send(()).unwrap();
        caller.join().unwrap();
        drop(other.join().unwrap());
        assert!(done.is_ok(), "blocks: {blocks}, {:?}", log.lines());
    }
}

/// Puts off an event, and goes on until its gate opens.
struct Puts(
    Callbacks,
    Mutex<mpsc::Sender<()>>,
    Mutex<mpsc::Receiver<()>>,
);

#[callback_handler]
impl Puts {
    fn on_text(&self) {
        let put_off = self.0.custom_event("put off", Value::Null);
        futures_executor::block_on(put_off).unwrap();
        self.1.lock().unwrap().send(()).unwrap();
        let _ = self.2.lock().unwrap().recv_timeout(LONG);
    }
}

/// Says where it is called.
struct Where(Log);

#[callback_handler]
impl Where {
    fn on_custom_event(&self, name: &str) {
        let lane = thread::current().name() == Some("callbacks-lane");
        self.0.add(format_args!("{name}, on a lane: {lane}"));
    }
}

/// A thread that waits drives what others put off, but what they emitted has a lane, and with it its
/// timeout.
#[test]
fn what_an_async_emission_put_off_is_called_on_a_lane() {
    let log = Log::new();
    let callbacks = Callbacks::new().with(Where(log.clone()));
    let chain = callbacks.blocking();
    let chain = chain.chain_start(&CHAIN, Value::Null).start().unwrap();
    let inside: Callbacks = (**chain.callbacks()).clone();
    let (entered, is_in) = mpsc::channel();
    let (open, gate) = mpsc::channel();
    let puts = Puts(inside.clone(), Mutex::new(entered), Mutex::new(gate));
    let inner = inside.with(puts);
    let emits = thread::spawn(move || {
        futures_executor::block_on(async {
            let run = inner.chain_start(&CHAIN, Value::Null).await.unwrap();
            run.text("x").await.unwrap();
        });
    });
    is_in.recv().unwrap();
    chain.custom_event("own", Value::Null).unwrap();
    let lines = log.lines();
    open.send(()).unwrap();
    emits.join().unwrap();
    // Where its own is called depends on who has the lane by then.
    assert_eq!(lines[0], "put off, on a lane: true");
}
