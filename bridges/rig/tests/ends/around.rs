//! The run around an agent ends before it does.

use std::sync::{Arc, Mutex};

use callbacks::events::AnyEvent;
use callbacks::{ChainRun, EmitError, ErrorKind, callback_handler, handler};
use callbacks_loopback::{Event, Gate, Reply, Server};
use callbacks_rig::{Observe, emit_error};
use serde_json::json;

use crate::common::{ANSWER, agent, answers, read, recorded, script, serve, settle};

/// Closes the run around the agent, in the middle of the agent.
#[tokio::test]
async fn a_run_around_it_that_ends() {
    struct Watch(Gate);

    #[callback_handler]
    impl Watch {
        fn on_llm_new_token(&self) {
            self.0.open();
        }
    }

    let (gate, seen) = (Gate::new(), Gate::new());
    let reply = Reply::from(answers()).after(2, Event::Hold(gate.clone()));
    let server = Server::start([reply]).unwrap();
    let (recorder, callbacks) = recorded();
    let callbacks = callbacks.with(Watch(seen.clone()));
    let outer = callbacks.chain_start(None, json!({})).await.unwrap();
    let stream = agent(&server)
        .prompt("Why?")
        .observed(outer.callbacks())
        .stream();
    let reading = tokio::spawn(read(stream));
    seen.opened().await;
    outer.end(json!({})).await.unwrap();
    gate.open();
    // In its last turn, only the handlers hear no more.
    assert_eq!(reading.await.unwrap().1.unwrap().output(), ANSWER);
    settle(&callbacks).await;
    recorder.assert_balanced();
    let events = recorder.events();
    let kinds = events.iter().filter_map(|event| match event.event() {
        AnyEvent::LlmError(event) => Some(event.error.kind),
        AnyEvent::ChainError(event) => Some(event.error.kind),
        _ => None,
    });
    assert_eq!(kinds.collect::<Vec<_>>(), [ErrorKind::Abandoned; 2]);
}

/// Closes it between two turns: what the agent starts then fails.
#[tokio::test]
async fn a_run_around_it_that_ends_between_two_turns() {
    #[derive(Default)]
    struct Ends(Mutex<Option<ChainRun>>);

    #[callback_handler]
    impl Ends {
        fn on_tool_end(&self) {
            let outer = self.0.lock().unwrap().take();
            drop(outer);
        }
    }

    let server = serve(script);
    let (recorder, callbacks) = recorded();
    let ends = Arc::<Ends>::default();
    let callbacks = callbacks.with(handler(ends.clone()).inline());
    let outer = callbacks.chain_start(None, json!({})).await.unwrap();
    let inside = outer.callbacks().clone();
    *ends.0.lock().unwrap() = Some(outer);
    let agent = agent(&server);
    let run = agent.prompt("How is Rome?").observed(&inside);
    let error = run.await.unwrap_err();
    assert!(
        matches!(emit_error(&error), Some(EmitError::RunClosed)),
        "{error:?}"
    );
    settle(&callbacks).await;
    recorder.assert_balanced();
}
