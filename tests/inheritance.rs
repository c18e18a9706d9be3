//! Rule 10: who gets which handlers, tags and metadata, each handler once.

use std::sync::Arc;

use callbacks::testing::{Recorder, assert_events};
use callbacks::{
    Callbacks, EmitError, ErrorKind, Interests, Run, callback_events, callback_handler, handler,
};
use callbacks_tests::{CHAIN, Log, TOOL, Tokens, start};
use serde_json::Value;

#[tokio::test]
async fn children_inherit_what_is_not_local() {
    #[derive(Default)]
    struct Labels(Log);

    #[callback_handler]
    impl Labels {
        fn on_chain_start(&self, run: &Run<'_>) {
            self.0
                .add(format_args!("{:?} {:?}", run.tags(), run.metadata()));
        }
    }

    let (inherited, local) = (Log::new(), Log::new());
    let callbacks = Callbacks::new()
        .with(Labels(inherited.clone()))
        .with_local(Labels(local.clone()))
        .tag("a")
        .local_tag("b")
        .local_tag("a")
        .tag("c")
        .metadata("k", 1);
    let root = callbacks.chain_start(&CHAIN, &Value::Null).await.unwrap();
    let inside = root.callbacks().tag("d");
    drop(inside.chain_start(&CHAIN, &Value::Null).await.unwrap());

    let own = r#"["a", "b", "c"] {"k": Number(1)}"#;
    let inside = r#"["a", "c", "d"] {"k": Number(1)}"#;
    assert_eq!(inherited.lines(), [own, inside]);
    assert_eq!(local.lines(), [own]);
}

/// A request's callbacks, and a model's own.
#[tokio::test]
async fn merged_callbacks_keep_their_order_and_what_is_local() {
    struct Names(Log, &'static str);

    #[callback_handler]
    impl Names {
        fn on_chain_start(&self, run: &Run<'_>) {
            let (tags, metadata) = (run.tags().join(" "), &run.metadata()["k"]);
            self.0.add(format_args!("{}: {tags} {metadata}", self.1));
        }
    }

    let log = Log::new();
    let names = |name| handler(Names(log.clone(), name)).inline();
    let shared = Arc::new(Names(log.clone(), "shared"));
    let request = Callbacks::new()
        .with(names("request"))
        .with_local(names("request's own"))
        .with(handler(shared.clone()).inline())
        .tag("request")
        .metadata("k", 1);
    let model = Callbacks::new()
        .with(handler(shared).inline())
        .with(names("model"))
        .with_local(names("model's own"))
        .tag("model")
        .tag("request")
        .metadata("k", 2);

    let heard = async |callbacks: &Callbacks| {
        let root = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
        let outer = log.take();
        let inner = root.callbacks().chain_start(&CHAIN, Value::Null).await;
        inner.unwrap().end(Value::Null).await.unwrap();
        root.end(Value::Null).await.unwrap();
        (outer, log.take())
    };
    let all = [
        "request: request model 2",
        "request's own: request model 2",
        "shared: request model 2",
        "model: request model 2",
        "model's own: request model 2",
    ];

    let (outer, inner) = heard(&request.merge(&model)).await;
    assert_eq!(outer, all);
    assert_eq!(inner, [all[0], all[2], all[3]]);

    let (outer, inner) = heard(&request.merge_local(&model)).await;
    assert_eq!(outer, all);
    assert_eq!(inner, ["request: request 1", "shared: request 1"]);

    let (outer, inner) = heard(&request.merge(&Callbacks::new())).await;
    assert_eq!((outer.len(), inner.len()), (3, 2));
    let (outer, inner) = heard(&Callbacks::new().merge_local(&model)).await;
    assert_eq!((outer.len(), inner.len()), (3, 0));
    assert!(format!("{request:?}").contains("Names"));
}

#[tokio::test]
async fn an_unheard_run_between_heard_ones_is_their_link() {
    let tools = Recorder::new();
    let callbacks = Callbacks::new().with(handler(tools.clone()).only(Interests::TOOL));
    let chain = callbacks
        .chain_start(&CHAIN, || panic!("unheard"))
        .await
        .unwrap();
    let tool = chain.callbacks().tool_start(&TOOL, "").await.unwrap();
    assert_eq!(tools.events()[0].run().parent_id(), Some(chain.id()));
    // and it still closes what is open inside it
    chain.end(|| panic!("unheard")).await.unwrap();
    assert_events!(
        tools,
        [
            ToolStart,
            ToolError { error } if error.kind == ErrorKind::Abandoned,
        ]
    );
    assert!(matches!(
        tool.end(&Value::Null).await,
        Err(EmitError::RunClosed)
    ));
    assert_eq!(tools.len(), 2);
}

#[callback_events]
mod door {
    pub(super) struct Opened<'a> {
        pub(super) by: &'a str,
    }
}

#[tokio::test]
async fn one_value_holds_handlers_of_several_sets() {
    struct Porter(Log);

    #[callback_handler(events = door)]
    impl Porter {
        fn on_opened(&self, by: &str, run: &Run<'_>) {
            self.0
                .add(format_args!("opened by {by} in {:?}", run.name()));
        }
    }

    let log = Log::new();
    let callbacks = Callbacks::new()
        .with(Tokens {
            log: log.clone(),
            name: "token",
        })
        .with(Porter(log.clone()));
    assert!(callbacks.wants::<door::Opened<'_>>());
    let run = start(&callbacks).await;
    run.new_token("t").await.unwrap();
    run.emit(door::Opened { by: "me" }).await.unwrap();
    callbacks.emit(door::Opened { by: "you" }).await.unwrap();
    assert_eq!(
        log.lines(),
        [
            "token t",
            r#"opened by me in "Model""#,
            r#"opened by you in """#
        ]
    );
}

#[tokio::test]
async fn the_same_handler_registered_twice_is_called_once() {
    let log = Log::new();
    let same = Arc::new(Tokens {
        log: log.clone(),
        name: "same",
    });
    let callbacks = Callbacks::new()
        .with(same.clone())
        .with(same.clone())
        .with(handler(same).inline())
        .with(Tokens {
            log: log.clone(),
            name: "equal",
        })
        .with(Tokens {
            log: log.clone(),
            name: "equal",
        });
    let run = start(&callbacks).await;
    run.new_token("t").await.unwrap();
    let mut lines = log.lines();
    lines.sort();
    assert_eq!(lines, ["equal t", "equal t", "same t"]);
}
