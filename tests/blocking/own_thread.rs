//! A handler that needs the very thread that waits for it.

use std::sync::Arc;

use callbacks::{Callbacks, EmitError, Queue, callback_handler, handler};
use callbacks_tests::CHAIN;
use serde_json::Value;
use tokio::sync::Notify;

use super::{LONG, call, current_thread};

/// A handler that waits for a task of the runtime whose thread it blocks.
struct Waits(Arc<Notify>);

#[callback_handler]
impl Waits {
    async fn on_llm_end(&self) {
        self.0.notified().await;
    }
}

#[test]
fn on_the_thread_of_a_runtime_a_handler_has_a_timeout_by_default() {
    current_thread().block_on(async {
        let notify = Arc::new(Notify::new());
        let waits = handler(Waits(notify.clone())).named("waits");
        let callbacks = Callbacks::new().with(waits).blocking();
        // It would only run if this thread did.
        tokio::spawn(async move { notify.notify_one() });
        call(&callbacks).unwrap();
        let report = callbacks.flush(LONG);
        assert_eq!(report.handler("waits").unwrap().timed_out, 1);
    });
}

#[test]
fn what_can_never_go_on_is_an_error() {
    current_thread().block_on(async {
        let notify = Arc::new(Notify::new());
        let queue = Queue::bounded(1);
        struct Drains(Arc<Notify>);

        #[callback_handler]
        impl Drains {
            async fn on_custom_event(&self) {
                self.0.notified().await;
            }
        }

        let drains = handler(Drains(notify.clone())).background(queue);
        let chain = Callbacks::new().with(drains);
        let chain = chain.chain_start(&CHAIN, Value::Null).await.unwrap();
        // One is being handled by a task of this runtime, one is queued.
        chain.custom_event("a", Value::Null).await.unwrap();
        tokio::task::yield_now().await;
        chain.custom_event("b", Value::Null).await.unwrap();
        let inside = chain.callbacks().blocking();
        let emitted = inside.custom_event("c", Value::Null);
        assert!(
            matches!(emitted, Err(EmitError::WouldDeadlock)),
            "{emitted:?}"
        );
        notify.notify_one();
        chain.end(Value::Null).await.unwrap();
    });
}
