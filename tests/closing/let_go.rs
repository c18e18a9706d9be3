//! What a closing lets go of at its end is code of users: it stops no other.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use callbacks::{BoxError, Callbacks, RunError, callback_handler, handler};
use callbacks_tests::{CHAIN, LONG, Log, TOOL, raised};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Waits in its method, and panics when it is dropped.
struct Bomb(Arc<Semaphore>);

#[callback_handler]
impl Bomb {
    async fn on_tool_error(&self) {
        self.0.acquire().await.unwrap().forget();
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a handler that is dropped");
    }
}

struct Ends(Log);

#[callback_handler]
impl Ends {
    fn on_tool_error(&self, error: &RunError) {
        self.0.add(format!("tool error: {error}"));
    }

    fn on_chain_end(&self) {
        self.0.add("chain end");
    }
}

/// Its run was dropped, so it is the closing that drops the handler.
#[tokio::test]
async fn a_handler_that_panics_when_dropped_by_a_closing_stops_no_run_around() {
    let (log, go) = (Log::new(), Arc::new(Semaphore::new(0)));
    let base = Callbacks::new().with(Ends(log.clone()));
    let chain = base.chain_start(&CHAIN, Value::Null).await.unwrap();
    let inner = chain.callbacks().with(Bomb(go.clone()));
    let tool = inner.tool_start(&TOOL, "").await.unwrap();
    drop(inner);
    drop(tool);
    let mut ends = pin!(chain.end(Value::Null));
    let polled = ends.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    go.add_permits(1);
    timeout(LONG, ends).await.unwrap().unwrap();
    assert_eq!(
        log.lines(),
        [
            "tool error: the run was dropped before it ended",
            "chain end"
        ]
    );
}

/// Its run is ended by the one around it.
#[tokio::test]
async fn a_handler_that_panics_when_dropped_by_a_closing_stops_no_run_beside() {
    let (log, go) = (Log::new(), Arc::new(Semaphore::new(0)));
    let base = Callbacks::new().with(Ends(log.clone()));
    let chain = base.chain_start(&CHAIN, Value::Null).await.unwrap();
    let first = chain.callbacks().tool_start(&TOOL, "").await.unwrap();
    let inner = chain.callbacks().with(Bomb(go.clone()));
    let second = inner.tool_start(&TOOL, "").await.unwrap();
    drop(inner);
    let mut ends = pin!(chain.end(Value::Null));
    let polled = ends.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    // It ends already.
    drop(second);
    go.add_permits(1);
    timeout(LONG, ends).await.unwrap().unwrap();
    let abandoned = "tool error: the run was still open when the run around it closed";
    assert_eq!(log.lines(), [abandoned, abandoned, "chain end"]);
    drop(first);
}

/// Waits, and fails.
struct Fails(Arc<Semaphore>);

#[callback_handler]
impl Fails {
    async fn on_tool_end(&self) -> Result<(), BoxError> {
        self.0.acquire().await.unwrap().forget();
        Err("it failed".into())
    }
}

/// It was among the callbacks that surrounded the code which ended the run.
#[tokio::test]
async fn a_handler_that_panics_when_dropped_by_a_closing_takes_no_error_along() {
    let go = Arc::new(Semaphore::new(0));
    let base = Callbacks::new().with(handler(Fails(go.clone())).raise_errors());
    let tool = base.tool_start(&TOOL, "").await.unwrap();
    let bomb = Callbacks::new().with(Bomb(go.clone()));
    let around = bomb.chain_start(&CHAIN, Value::Null).await.unwrap();
    drop(bomb);
    let mut ends = Box::pin(tool.end(Value::Null));
    let first = poll_fn(|cx| Poll::Ready(ends.as_mut().poll(cx).is_pending()));
    assert!(around.scope(first).await);
    around.end(Value::Null).await.unwrap();
    go.add_permits(1);
    let ended = timeout(LONG, ends).await.unwrap();
    let (_, _, error) = raised(ended);
    assert_eq!(error, "it failed");
}
