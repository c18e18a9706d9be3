//! What fails when its turn comes has nobody to raise its error to.

use std::sync::{Arc, Mutex};

use callbacks::{
    Callbacks, ChainRun, EmitError, Handler, Run, callback_handler, events::Events, handler,
};
use callbacks_tests::{LONG, Log};
use futures_util::FutureExt;

use super::acts::{Act, Acts, ActsInAsync, act};
use super::hears::{Hears, Own};
use super::{chain, inner};

/// What a deferred event's handler raises reaches nobody, and is counted.
#[tokio::test]
async fn nothing_is_raised_from_what_was_put_off() {
    struct Fails;

    #[callback_handler]
    impl Fails {
        async fn on_text(&self, text: &str) -> Result<(), String> {
            if text == "inner" {
                Err("no".to_owned())
            } else {
                Ok(())
            }
        }
    }

    fn failing() -> impl Handler<Events> {
        handler(Fails).raise_errors().named("fails")
    }

    let slot: Arc<Mutex<Option<Act>>> = Arc::default();
    let later = slot.clone();
    let acts: Act = Arc::new(move || {
        let act = later.lock().unwrap().take();
        act.map_or_else(|| Box::pin(async {}) as _, |act| act())
    });
    let acts = ActsInAsync(Acts::new(&acts, &Log::new(), false));
    let callbacks = Callbacks::new().with(acts).with(failing());
    let run = Arc::new(chain(&callbacks).await);
    let own = run.clone();
    *slot.lock().unwrap() = Some(act(move || {
        let own = own.clone();
        async move { own.text("inner").await.unwrap() }
    }));
    run.text("go").await.unwrap();
    let report = callbacks.flush(LONG).await;
    assert_eq!(report.handler("fails").unwrap().failed, 1);
    run.text("inner").await.unwrap_err();
}

/// There is nobody to raise the error to, but who saw the start sees the end.
#[tokio::test]
async fn a_start_that_was_put_off_and_fails_closes_its_run() {
    struct Budget(Log);

    #[callback_handler]
    impl Budget {
        async fn on_chain_start(&self, run: &Run<'_>) -> Result<(), String> {
            self.0.add(format_args!("{} start", run.name()));
            match run.name() {
                "Inner" => Err("no".to_owned()),
                _ => Ok(()),
            }
        }

        async fn on_chain_error(&self, run: &Run<'_>) {
            self.0.add(format_args!("{} error", run.name()));
        }
    }

    let (own, log) = (Own::default(), Log::new());
    let started: Arc<Mutex<Option<ChainRun>>> = Arc::default();
    let (around, starts) = (own.clone(), started.clone());
    let starts = Hears(move |_: &str| {
        let run = inner(around.0.get().unwrap().callbacks());
        let run = run.now_or_never().expect("nothing waits").unwrap();
        *starts.lock().unwrap() = Some(run);
    });
    let budget = handler(Budget(log.clone())).raise_errors();
    let callbacks = Callbacks::new().with(starts).with(budget);
    let run = own.start(&callbacks).await;
    run.text("go").await.unwrap();
    let closed = started.lock().unwrap().take().unwrap();
    assert!(matches!(closed.text("x").await, Err(EmitError::RunClosed)));
    assert!(callbacks.flush(LONG).await.is_complete());
    assert_eq!(log.lines(), ["Chain start", "Inner start", "Inner error"]);
}
