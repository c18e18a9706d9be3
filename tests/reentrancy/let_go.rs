//! What was put off lets go of handlers when it is done. What those do when they are dropped is put off, too.

use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use callbacks::{Callbacks, callback_handler};
use callbacks_tests::{LONG, Log};
use futures_executor::block_on;
use serde_json::{Value, json};

use crate::chain;

/// Emits when it is dropped, and waits for that.
struct Emits(Callbacks);

#[callback_handler]
impl Emits {
    fn on_custom_event(&self) {}
}

impl Drop for Emits {
    fn drop(&mut self) {
        let emitted = self.0.blocking().custom_event("dropped", || json!(null));
        emitted.unwrap();
    }
}

/// Reacts once, with a handler of its own for that.
struct Reacts {
    log: Log,
    within: Mutex<Option<Callbacks>>,
}

#[callback_handler]
impl Reacts {
    fn on_custom_event(&self, name: &str) {
        self.log.add(name);
        let Some(callbacks) = self.within.lock().unwrap().take() else {
            return;
        };
        let callbacks = callbacks.with(Emits(callbacks.clone()));
        let emitted = callbacks
            .blocking()
            .custom_event("reaction", || json!(null));
        emitted.unwrap();
    }
}

#[test]
fn a_handler_may_emit_when_what_was_put_off_drops_it() {
    let (done, is_done) = mpsc::channel();
    // Who stands still does not come to an end.
    thread::spawn(move || {
        let log = Log::new();
        let reacts = Reacts {
            log: log.clone(),
            within: Mutex::default(),
        };
        let reacts = Arc::new(reacts);
        let callbacks = Callbacks::new().with(reacts.clone());
        block_on(async {
            let run = chain(&callbacks).await;
            *reacts.within.lock().unwrap() = Some(run.callbacks().clone());
            let emitted = run.custom_event("event", || json!(null));
            emitted.await.unwrap();
            run.end(Value::Null).await.unwrap();
            // Nobody waits for that.
            assert!(callbacks.flush(LONG).await.is_complete());
        });
        done.send(log.lines()).unwrap();
    });
    let lines = is_done.recv_timeout(LONG).expect("it stands still");
    assert_eq!(lines, ["event", "reaction", "dropped"]);
}
