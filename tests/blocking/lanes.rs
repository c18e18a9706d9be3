//! Where threads wait, plain methods are called in the order of their lanes, whoever emits.

use std::pin::pin;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use callbacks::testing::Recorder;
use callbacks::{
    BoxError, Callbacks, Decision, EmitError, Queue, RunError, ToolDecision, callback_handler,
    handler,
};
use callbacks_tests::{CHAIN, Log, TOOL};
use futures_util::{StreamExt, poll};
use serde_json::Value;

use super::{LONG, Sleeps, current_thread, multi_thread, within};

/// A sync handler that waits for its gate in an event called `slow`.
pub(super) struct Gated {
    log: Log,
    entered: Mutex<mpsc::Sender<()>>,
    gate: Mutex<mpsc::Receiver<()>>,
}

pub(super) fn gated() -> (Arc<Gated>, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (entered, is_in) = mpsc::channel();
    let (open, gate) = mpsc::channel();
    let gated = Arc::new(Gated {
        log: Log::new(),
        entered: Mutex::new(entered),
        gate: Mutex::new(gate),
    });
    (gated, is_in, open)
}

#[callback_handler]
impl Gated {
    fn on_custom_event(&self, name: &str) {
        self.log.add(format_args!("{name} begins"));
        if name == "slow" {
            self.entered.lock().unwrap().send(()).unwrap();
            let _ = self.gate.lock().unwrap().recv_timeout(LONG);
        }
        self.log.add(format_args!("{name} ends"));
    }

    fn on_chain_end(&self) {
        self.log.add("chain end");
    }
}

/// "If an emission returned before another began, every handler sees them in that order": `two` has
/// returned (its time was up), then `three` begins.
#[test]
fn a_thread_overtakes_nothing_in_the_lane() {
    multi_thread(2).block_on(async {
        let (gated, is_in, open) = gated();
        let short = handler(gated.clone()).timeout(Duration::from_millis(20));
        let callbacks = Callbacks::new().with(short);
        let chain = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
        chain.custom_event("slow", Value::Null).await.unwrap();
        is_in.recv().unwrap();
        chain.custom_event("two", Value::Null).await.unwrap();
        let inside = chain.callbacks().blocking();
        let three = thread::spawn(move || inside.custom_event("three", Value::Null).unwrap());
        // Time for what is wrong to happen.
        thread::sleep(Duration::from_millis(50));
        open.send(()).unwrap();
        three.join().unwrap();
        assert!(callbacks.flush(LONG).await.is_complete());
        assert_eq!(
            gated.log.lines(),
            [
                "slow begins",
                "slow ends",
                "two begins",
                "two ends",
                "three begins",
                "three ends"
            ]
        );
    });
}

/// "A run's events lie between its start and its terminal event."
#[test]
fn an_end_comes_after_the_events_of_its_run() {
    multi_thread(2).block_on(async {
        let (gated, is_in, open) = gated();
        let callbacks = Callbacks::new().with(gated.clone());
        let chain = callbacks.blocking();
        let chain = chain.chain_start(&CHAIN, Value::Null).start().unwrap();
        let inside: Callbacks = (**chain.callbacks()).clone();
        // A future that was polled is queued.
        let mut slow = pin!(inside.custom_event("slow", Value::Null));
        assert!(poll!(slow.as_mut()).is_pending());
        is_in.recv().unwrap();
        let mut two = pin!(inside.custom_event("two", Value::Null));
        assert!(poll!(two.as_mut()).is_pending());
        let end = thread::spawn(move || chain.end(Value::Null).unwrap());
        // Time for what is wrong to happen.
        thread::sleep(Duration::from_millis(50));
        open.send(()).unwrap();
        end.join().unwrap();
        slow.await.unwrap();
        two.await.unwrap();
        assert_eq!(
            gated.log.lines(),
            [
                "slow begins",
                "slow ends",
                "two begins",
                "two ends",
                "chain end"
            ]
        );
    });
}

/// "An emission returns when its awaited handlers are done, or, for a queue, was queued": what was queued
/// before comes first.
#[test]
fn a_question_comes_after_the_queue_of_a_background_handler() {
    let log = Log::new();
    let clerk = handler(Clerk(log.clone())).background(Queue::bounded(256));
    let callbacks = Callbacks::new().with(clerk).blocking();
    let chain = callbacks.chain_start(&CHAIN, Value::Null).start().unwrap();
    let texts: Vec<_> = (0..100).map(|number| number.to_string()).collect();
    for text in &texts {
        chain.text(text).unwrap();
    }
    let tool = chain.callbacks().tool_start(&TOOL, "x").start().unwrap();
    let mut expected = texts;
    expected.push("asked".to_owned());
    let _ = callbacks.flush(LONG);
    assert_eq!(log.lines(), expected);
    drop(tool);
}

struct Clerk(Log);

#[callback_handler]
impl Clerk {
    fn on_text(&self, text: &str) {
        self.0.add(text);
    }

    fn on_tool_request(&self) -> ToolDecision {
        self.0.add("asked");
        Decision::Continue
    }
}

/// The task that it spawned is in a place of the worker that no other steals from, so the worker has to
/// hand it on.
#[test]
fn a_method_on_a_worker_may_wait_for_a_task() {
    struct Waits;

    #[callback_handler]
    impl Waits {
        fn on_custom_event(&self) -> Result<(), BoxError> {
            let (sender, receiver) = mpsc::channel();
            tokio::spawn(async move { sender.send(()) });
            Ok(receiver.recv_timeout(Duration::from_secs(5))?)
        }
    }

    for workers in [1, 2] {
        let raised = within(LONG, move || {
            multi_thread(workers).block_on(async {
                let callbacks = Callbacks::new().with(handler(Waits).raise_errors());
                // Awaited, on its lane.
                callbacks.custom_event("x", Value::Null).await.unwrap();
                tokio::spawn(async move { callbacks.blocking().custom_event("x", Value::Null) })
                    .await
                    .unwrap()
            })
        });
        assert!(raised.is_ok(), "{workers} workers: {raised:?}");
    }
}

type Does = Box<dyn FnOnce() + Send>;

#[test]
fn many_threads_block_on_one_tree() {
    let places: [fn(Does); 4] = [
        |does| does(),
        |does| current_thread().block_on(async { does() }),
        |does| multi_thread(1).block_on(async { tokio::spawn(async { does() }).await.unwrap() }),
        |does| {
            let local = tokio::task::LocalSet::new();
            local.block_on(&current_thread(), async { does() });
        },
    ];
    for _ in 0..5 {
        let records = Recorder::new();
        let (callbacks, stream) = Callbacks::new()
            .with(records.clone())
            .with(Recorder::new().asynchronous())
            .with(Sleeps)
            .record(Queue::bounded(1 << 16));
        let chain = callbacks
            .blocking()
            .chain_start(&CHAIN, Value::Null)
            .start()
            .unwrap();
        thread::scope(|scope| {
            for place in places.iter().cycle().take(8) {
                let inside = chain.callbacks().clone();
                scope.spawn(move || {
                    place(Box::new(move || {
                        for number in 0..20 {
                            let tool = inside.tool_start(&TOOL, "x").start().unwrap();
                            tool.text("a").unwrap();
                            if number % 5 == 0 {
                                tool.custom_event("b", Value::Null).unwrap();
                            }
                            if number % 3 == 0 {
                                drop(tool);
                            } else {
                                tool.end(Value::Null).unwrap();
                            }
                        }
                    }));
                });
            }
        });
        chain.end(Value::Null).unwrap();
        // What is in the stream is pending until it is read.
        let report = callbacks.blocking().flush(LONG);
        assert!(
            report.handlers[..3]
                .iter()
                .all(|handler| handler.pending == 0),
            "{report:?}"
        );
        records.assert_balanced();
        drop(callbacks);
        let seqs: Vec<_> = futures_executor::block_on(stream.map(|record| record.seq()).collect());
        assert!(seqs.is_sorted(), "{seqs:?}");
        assert_eq!(seqs.len(), 2 + 8 * (20 * 3 + 4));
    }
}

/// A blocking end and the awaited end of the run around it, at once.
#[test]
fn a_blocking_end_races_the_end_of_its_parent() {
    let runtime = multi_thread(2);
    for round in 0..300 {
        let records = Recorder::new();
        let callbacks = Callbacks::new().with(records.clone()).with(Sleeps);
        let chain =
            runtime.block_on(async { callbacks.chain_start(&CHAIN, Value::Null).await.unwrap() });
        let inside = chain.callbacks().blocking();
        let tool = inside.tool_start(&TOOL, "x").start().unwrap();
        let go = Arc::new(std::sync::Barrier::new(2));
        let parent = {
            let go = go.clone();
            runtime.spawn(async move {
                go.wait();
                chain.end(Value::Null).await
            })
        };
        go.wait();
        for _ in 0..round % 7 {
            thread::yield_now();
        }
        let ended = if round % 2 == 0 {
            tool.end(Value::Null)
        } else {
            tool.error(RunError::new("no"))
        };
        assert!(
            matches!(ended, Ok(()) | Err(EmitError::RunClosed)),
            "{ended:?}"
        );
        runtime.block_on(parent).unwrap().unwrap();
        records.assert_balanced();
        let methods: Vec<_> = records
            .events()
            .iter()
            .map(callbacks::testing::Recorded::method)
            .collect();
        assert_eq!(methods.len(), 4, "{methods:?}");
        assert_eq!(methods.last(), Some(&"on_chain_end"));
    }
}

/// Nothing remains of who has blocked: async emissions of both sorts of runtime, one after another.
#[test]
fn both_flavours_from_many_tasks_of_one_tree() {
    let runtime = multi_thread(2);
    for _ in 0..10 {
        let records = Recorder::new();
        let callbacks = Callbacks::new().with(records.clone()).with(Sleeps);
        runtime.block_on(async {
            let chain = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
            let tasks = (0..8).map(|task| {
                let inside = chain.callbacks().clone();
                tokio::spawn(async move {
                    for number in 0..20 {
                        if (task + number) % 2 == 0 {
                            let tool = inside.tool_start(&TOOL, "x").await.unwrap();
                            tool.text("x").await.unwrap();
                            tool.end(Value::Null).await.unwrap();
                        } else {
                            let inside = inside.blocking();
                            let tool = inside.tool_start(&TOOL, "x").start().unwrap();
                            tool.text("x").unwrap();
                            tool.end(Value::Null).unwrap();
                        }
                    }
                })
            });
            for task in tasks.collect::<Vec<_>>() {
                task.await.unwrap();
            }
            chain.end(Value::Null).await.unwrap();
        });
        records.assert_balanced();
        assert_eq!(records.len(), 2 + 8 * 20 * 3);
    }
}
