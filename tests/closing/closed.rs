//! What is left of a run that is closed: nothing, and nothing comes of it.

use std::sync::Arc;
use std::time::Duration;

use callbacks::{Callbacks, EmitError, LlmResult, callback_handler, handler};
use callbacks_tests::{CHAIN, Log, Logger, MODEL, TOOL, prompts};
use serde_json::Value;

/// Runs and handlers hold each other while a run is open, and no longer.
#[tokio::test]
async fn a_closed_run_leaves_nothing_behind() {
    let logger = Arc::new(Logger::default());
    let handler = Arc::downgrade(&logger);
    let callbacks = Callbacks::new().with(logger);
    let root = callbacks.chain_start(&CHAIN, &Value::Null).await.unwrap();
    let child = root.callbacks().llm_start(&MODEL, prompts).await.unwrap();
    let abandoned = root.callbacks().tool_start(&TOOL, "").await.unwrap();
    child.new_token("token").await.unwrap();
    child.end(&LlmResult::default()).await.unwrap();
    root.end(&Value::Null).await.unwrap();
    drop((abandoned, callbacks));
    // a worker may still be on its way out
    let gone = async {
        while handler.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone)
        .await
        .unwrap();
}

/// "Emitting on a closed run is `RunClosed`, and delivers nothing", however its handlers are
/// called.
#[tokio::test]
async fn an_emission_on_a_closed_run_reaches_nobody() {
    #[derive(Default)]
    struct Plain(Log);

    #[callback_handler]
    impl Plain {
        fn on_text(&self, text: &str) {
            self.0.add(text);
        }
    }

    #[derive(Default)]
    struct Asynchronous(Log);

    #[callback_handler]
    impl Asynchronous {
        async fn on_text(&self, text: &str) {
            self.0.add(text);
        }
    }

    let (plain, asynchronous) = (Arc::<Plain>::default(), Arc::<Asynchronous>::default());
    for callbacks in [
        Callbacks::new().with(handler(plain.clone()).inline()),
        Callbacks::new().with(plain.clone()),
        Callbacks::new().with(asynchronous.clone()),
    ] {
        let root = callbacks.chain_start(None, &Value::Null).await.unwrap();
        let tool = root.callbacks().tool_start(&TOOL, "").await.unwrap();
        let never_polled = tool.text("never polled");
        drop(never_polled);
        let before = tool.text("before");
        root.end(&Value::Null).await.unwrap();
        assert!(matches!(before.await, Err(EmitError::RunClosed)));
        assert!(matches!(tool.text("late").await, Err(EmitError::RunClosed)));
    }
    assert!(plain.0.lines().is_empty() && asynchronous.0.lines().is_empty());
}
