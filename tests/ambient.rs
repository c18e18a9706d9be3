//! Ambient runs: what code finds that was handed no callbacks.

use callbacks::{Callbacks, RunId, RunInfo, callback_handler};
use callbacks_tests::{CHAIN, Log, TOOL};
use serde_json::Value;

/// The id of the run in whose scope this is.
async fn current() -> Option<RunId> {
    tokio::task::yield_now().await;
    let tool = Callbacks::current()?.tool_start(&TOOL, "").await.unwrap();
    let id = tool.callbacks().run_info().and_then(RunInfo::parent_id);
    tool.end(Value::Null).await.unwrap();
    id
}

#[tokio::test]
async fn a_scope_is_where_its_future_is_polled() {
    let callbacks = Callbacks::new();
    let outer = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
    let inner = outer
        .callbacks()
        .chain_start(&CHAIN, Value::Null)
        .await
        .unwrap();
    assert_eq!(current().await, None);
    let seen = outer.scope(async {
        let before = current().await;
        let nested = inner.scope(current()).await;
        let spawned = tokio::spawn(current()).await.unwrap();
        let handed_on = tokio::spawn(inner.scope(current())).await.unwrap();
        (before, nested, spawned, handed_on, current().await)
    });
    let (before, nested, spawned, handed_on, after) = seen.await;
    let (outer, inner) = (Some(outer.id()), Some(inner.id()));
    assert_eq!((before, nested, after), (outer, inner, outer));
    assert_eq!((spawned, handed_on), (None, inner));
    assert_eq!(current().await, None);
}

#[tokio::test]
async fn methods_find_the_scope_that_their_event_was_emitted_in() {
    struct Looks(Log);

    impl Looks {
        fn look(&self) {
            let run = Callbacks::current().and_then(|callbacks| callbacks.run_info().cloned());
            self.0
                .add(run.map_or_else(String::new, |run| run.name().to_owned()));
        }
    }

    #[callback_handler]
    impl Looks {
        fn on_text(&self) {
            self.look();
        }

        async fn on_custom_event(&self) {
            tokio::task::yield_now().await;
            self.look();
        }
    }

    let log = Log::new();
    let callbacks = Callbacks::new().with(Looks(log.clone()));
    let run = callbacks
        .chain_start(&CHAIN, Value::Null)
        .name("scope")
        .await
        .unwrap();
    run.text("outside").await.unwrap();
    run.custom_event("outside", Value::Null).await.unwrap();
    run.scope(async {
        run.text("inside").await.unwrap();
        run.custom_event("inside", Value::Null).await.unwrap();
    })
    .await;
    assert_eq!(log.lines(), ["", "", "scope", "scope"]);
}

/// The terminal event of a guard that is dropped is delivered by whoever comes to it.
#[tokio::test]
async fn a_run_dropped_in_a_scope_closes_in_it() {
    struct Looks(tokio::sync::mpsc::UnboundedSender<Option<RunId>>);

    #[callback_handler]
    impl Looks {
        async fn on_tool_error(&self) {
            let run = Callbacks::current().and_then(|callbacks| callbacks.run_info().cloned());
            self.0.send(run.map(|run| run.id())).unwrap();
        }
    }

    let (told, mut tells) = tokio::sync::mpsc::unbounded_channel();
    let callbacks = Callbacks::new().with(Looks(told));
    let root = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
    let tool = root.callbacks().tool_start(&TOOL, "").await.unwrap();
    root.scope(async move { drop(tool) }).await;
    assert_eq!(tells.recv().await.unwrap(), Some(root.id()));
}
