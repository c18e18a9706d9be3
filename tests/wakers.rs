//! What executors do when they are woken holds up nobody else.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use callbacks::events::Events;
use callbacks::{
    Callbacks, Decision, EmitError, LlmRun, Queue, Record, ToolDecision, callback_handler, handler,
};
use callbacks_tests::{CHAIN, LONG, Log, TOOL, start};
use futures_executor::block_on;
use futures_util::{Stream, StreamExt};
use serde_json::Value;
use tokio::sync::Semaphore;

/// Waits for a permit in each call.
struct Suspends {
    log: Log,
    go: Arc<Semaphore>,
}

#[callback_handler]
impl Suspends {
    async fn on_llm_new_token(&self, token: &str) {
        self.go.acquire().await.unwrap().forget();
        self.log.add(token);
    }
}

/// With a queue for one event.
fn suspends() -> (Callbacks, Arc<Semaphore>, Log) {
    let (log, go) = (Log::new(), Arc::new(Semaphore::new(0)));
    let suspends = Suspends {
        log: log.clone(),
        go: go.clone(),
    };
    let queued = handler(suspends).background(Queue::bounded(1));
    (Callbacks::new().with(queued), go, log)
}

/// Panics when it is woken, and says so before.
struct Panics(Mutex<mpsc::Sender<()>>);

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        self.0.lock().unwrap().send(()).unwrap();
        panic!("a waker of somebody else's executor");
    }
}

/// Set when it is woken.
#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Who waits for room is woken by the handler's task. Whatever that does, the handler is called on: also where
/// there is no runtime but the crate's own.
#[test]
fn a_waker_that_panics_stops_no_handler() {
    let (callbacks, go, log) = suspends();
    let run = block_on(start(&callbacks));
    block_on(run.new_token("one")).unwrap();
    block_on(run.new_token("two")).unwrap();
    let (said, woken) = mpsc::channel();
    let waker = Waker::from(Arc::new(Panics(Mutex::new(said))));
    let mut third = pin!(run.new_token("three"));
    let polled = third.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    go.add_permits(3);
    woken.recv().unwrap();
    block_on(third).unwrap();
    assert!(block_on(callbacks.flush(LONG)).is_complete());
    assert_eq!(log.lines(), ["one", "two", "three"]);
}

#[tokio::test]
async fn a_waker_that_panics_holds_up_no_other_that_waits() {
    let (callbacks, go, _) = suspends();
    let run = start(&callbacks).await;
    run.new_token("one").await.unwrap();
    let (said, woken) = mpsc::channel();
    let waker = Waker::from(Arc::new(Panics(Mutex::new(said))));
    let mut first = pin!(callbacks.flush(LONG));
    let polled = first.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    let second = async {
        let report = callbacks.flush(LONG).await;
        assert!(report.is_complete(), "{report:?}");
        // It waits for that, and not for its time to be up.
        woken.try_recv().unwrap();
    };
    tokio::join!(second, async { go.add_permits(1) });
}

/// A stream with room for one event, and two runs of trees of their own, of which one took it.
fn streamed() -> ([LlmRun; 2], impl Stream<Item = Record<Events>> + Unpin) {
    let (callbacks, mut records) = Callbacks::new().record(Queue::bounded(1));
    let runs = [(); 2].map(|()| {
        let run = block_on(start(&callbacks));
        block_on(records.next()).unwrap();
        run
    });
    block_on(runs[0].new_token("one")).unwrap();
    (runs, records)
}

#[test]
fn a_waker_that_panics_has_nobody_else_wait_for_room_that_nobody_makes() {
    let ([one, two], records) = streamed();
    let (said, woken) = mpsc::channel();
    let waker = Waker::from(Arc::new(Panics(Mutex::new(said))));
    let mut first = pin!(one.new_token("two"));
    let polled = first.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    let flag = Arc::new(Flag::default());
    let mut second = pin!(two.new_token("two"));
    let waker = Waker::from(flag.clone());
    let polled = second.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    drop(records);
    woken.try_recv().unwrap();
    assert!(flag.0.load(Ordering::SeqCst));
    block_on(second).unwrap();
    block_on(first).unwrap();
}

/// Room that is not taken goes to the next, from whichever code drops an emission.
#[test]
fn a_waker_that_panics_does_not_for_who_gives_up() {
    let ([one, two], mut records) = streamed();
    {
        let mut first = Box::pin(one.new_token("two"));
        let polled = first.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        let (said, woken) = mpsc::channel();
        let waker = Waker::from(Arc::new(Panics(Mutex::new(said))));
        let mut second = pin!(two.new_token("two"));
        let polled = second.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        block_on(records.next()).unwrap();
        assert!(woken.try_recv().is_err());
        drop(first);
        woken.try_recv().unwrap();
        block_on(second).unwrap();
    }
    drop(records);
}

/// Waits for ever.
struct Stalls;

#[callback_handler]
impl Stalls {
    async fn on_llm_new_token(&self) {
        std::future::pending::<()>().await;
    }
}

/// Where no runtime is at hand, all timers are those of one thread.
#[test]
fn a_waker_that_panics_stops_no_clock() {
    let callbacks = || Callbacks::new().with(handler(Stalls).timeout(Duration::from_millis(50)));
    let (first, second) = (callbacks(), callbacks());
    let [first, second] = [&first, &second].map(|callbacks| block_on(start(callbacks)));
    let (said, woken) = mpsc::channel();
    let waker = Waker::from(Arc::new(Panics(Mutex::new(said))));
    let mut emission = pin!(first.new_token("token"));
    let polled = emission.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    woken.recv_timeout(LONG).unwrap();
    block_on(second.new_token("token")).unwrap();
    block_on(emission).unwrap();
}

/// Takes its time for the end of a tool.
struct Ends {
    log: Log,
    go: Arc<Semaphore>,
}

#[callback_handler]
impl Ends {
    async fn on_tool_end(&self) {
        self.go.acquire().await.unwrap().forget();
        self.log.add("tool");
    }

    fn on_chain_end(&self) {
        self.log.add("chain");
    }
}

/// Who waits for the end of a run does not break it for the run around.
#[test]
fn a_waker_that_panics_keeps_no_end_from_being_told() {
    let (log, go) = (Log::new(), Arc::new(Semaphore::new(0)));
    let ends = Ends {
        log: log.clone(),
        go: go.clone(),
    };
    let callbacks = Callbacks::new().with(ends);
    let chain = block_on(callbacks.chain_start(&CHAIN, Value::Null).into_future()).unwrap();
    let tool = block_on(chain.callbacks().tool_start(&TOOL, "").into_future()).unwrap();
    let (said, woken) = mpsc::channel();
    let waker = Waker::from(Arc::new(Panics(Mutex::new(said))));
    let mut end = pin!(tool.end(Value::Null));
    let polled = end.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    let _ = catch_unwind(AssertUnwindSafe(|| go.add_permits(1)));
    woken.try_recv().unwrap();
    block_on(chain.end(Value::Null)).unwrap();
    assert_eq!(log.lines(), ["tool", "chain"]);
    block_on(end).unwrap();
}

/// An executor that polls where it is woken.
struct PollsThere(Mutex<Option<Task>>);

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Wake for PollsThere {
    fn wake(self: Arc<Self>) {
        let waker = Waker::from(self.clone());
        let Some(mut task) = self.0.lock().unwrap().take() else {
            return;
        };
        let polled = task.as_mut().poll(&mut Context::from_waker(&waker));
        if polled.is_pending() {
            *self.0.lock().unwrap() = Some(task);
        }
    }
}

struct Allows;

#[callback_handler]
impl Allows {
    fn on_tool_request(&self) -> ToolDecision {
        Decision::Continue
    }
}

/// What is done where a handler's task gives its place away is not done by a handler.
#[test]
fn what_is_polled_by_a_waker_is_not_inside_a_callback() {
    let (callbacks, go, _) = suspends();
    let callbacks = callbacks.with(handler(Allows).inline());
    let run = block_on(start(&callbacks));
    for token in ["one", "two"] {
        block_on(run.new_token(token)).unwrap();
    }
    let (said, heard) = mpsc::channel();
    let task = async move {
        run.new_token("three").await.unwrap();
        let tool = callbacks.tool_start(&TOOL, "").await;
        said.send(tool.map(mem::drop)).unwrap();
        drop(run);
    };
    let task: Task = Box::pin(task);
    Arc::new(PollsThere(Mutex::new(Some(task)))).wake();
    go.add_permits(3);
    let tool: Result<(), EmitError> = heard.recv_timeout(LONG).unwrap();
    tool.unwrap();
}
