//! Runs: what their events say, who inherits what, and that every start has exactly one end.

use std::io;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::{Duration, SystemTime};

use callbacks::{
    AgentAction, AgentFinish, Callbacks, Chunk, Document, EmitError, LlmResult, Message,
    ModelParams, RetryState, Run, RunError, RunId, RunInfo, RunKind, Serialized, callback_handler,
    handler,
};
use callbacks_tests::{Log, Recorder};
use serde_json::{Value, json};
use tokio::sync::Notify;

static MODEL: Serialized = Serialized::new("Model");
static CHAIN: Serialized = Serialized::new("Chain");
static TOOL: Serialized = Serialized::new("Tool");
static RETRIEVER: Serialized = Serialized::new("Retriever");

fn prompts() -> Vec<String> {
    vec!["Why?".to_owned()]
}

fn recorder() -> (Callbacks, Log) {
    let recorder = Recorder::default();
    let log = recorder.0.clone();
    (Callbacks::new().with(recorder), log)
}

#[tokio::test]
async fn every_event_reaches_its_method_with_its_fields() {
    let (callbacks, log) = recorder();
    let inputs = json!({ "question": "Why?" });

    let agent = callbacks
        .chain_start(&CHAIN, &inputs)
        .kind(RunKind::Agent)
        .await
        .unwrap();
    agent.text("thinking").await.unwrap();
    let inside = agent.callbacks();

    let messages = vec![Message::system("Be brief."), Message::human("Why?")];
    let params = ModelParams::new().with_model("small");
    let chat = inside
        .chat_model_start(&MODEL, &messages)
        .params(&params)
        .await
        .unwrap();
    chat.new_token("Be").await.unwrap();
    chat.new_token("").await.unwrap();
    let mut chunk = Chunk::text("cause");
    chunk.choice = 1;
    chat.new_chunk(&chunk).await.unwrap();
    chat.retry(&RetryState::new(2)).await.unwrap();
    chat.end(&LlmResult::from_text("Because")).await.unwrap();

    agent
        .agent_action(&AgentAction::new("calculator", json!("1 + 1")))
        .await
        .unwrap();
    let arguments = json!({ "x": 1 });
    let tool = inside
        .tool_start(&TOOL, "1 + 1")
        .inputs(&arguments)
        .tool_call_id("call-1")
        .await
        .unwrap();
    tool.custom_event("progress", &json!(0.5)).await.unwrap();
    tool.end(&json!(2)).await.unwrap();
    let tool = inside
        .tool_start(None, "1 +")
        .tool_call_id("call-2")
        .name("add")
        .await
        .unwrap();
    tool.error("1 +".parse::<u8>().unwrap_err()).await.unwrap();

    let retriever = inside.retriever_start(&RETRIEVER, "why").await.unwrap();
    retriever.end(&[Document::new("because")]).await.unwrap();
    let retriever = inside.retriever_start(&RETRIEVER, "why").await.unwrap();
    retriever.error(io::Error::other("gone")).await.unwrap();

    let llm = inside.llm_start(&MODEL, prompts).await.unwrap();
    let partial = LlmResult::from_text("Be");
    llm.error(RunError::new("cut"))
        .partial(&partial)
        .await
        .unwrap();

    agent
        .agent_finish(&AgentFinish::new(json!("done")))
        .await
        .unwrap();
    agent.end(&json!({ "answer": "Because" })).await.unwrap();
    let chain = callbacks.chain_start(&CHAIN, &inputs).await.unwrap();
    chain.error(RunError::new("no")).await.unwrap();

    let expected = [
        r#"Chain: chain start {"question":"Why?"}"#,
        r#"Chain: text "thinking""#,
        r#"Model: chat model start ["Be brief.", "Why?"]"#,
        r#"Model: token "Be" None 0"#,
        r#"Model: token "" None 0"#,
        r#"Model: token "cause" Some("cause") 1"#,
        r"Model: retry 2",
        r#"Model: llm end "Because" Some("small")"#,
        r#"Chain: agent action "calculator""#,
        r#"Tool: tool start "1 + 1" Some(Object {"x": Number(1)}) Some("call-1")"#,
        r#"Tool: custom "progress" 0.5"#,
        r#"Tool: tool end 2 Some("call-1")"#,
        r#"add: tool start "1 +" None Some("call-2")"#,
        r#"add: tool error Failed "invalid digit found in string" Some("call-2")"#,
        r#"Retriever: retriever start "why""#,
        r"Retriever: retriever end 1",
        r#"Retriever: retriever start "why""#,
        r"Retriever: retriever error Failed",
        r#"Model: llm start ["Why?"]"#,
        r#"Model: llm error Failed Some("Be")"#,
        r#"Chain: agent finish "done""#,
        r#"Chain: chain end {"answer":"Because"}"#,
        r#"Chain: chain start {"question":"Why?"}"#,
        r"Chain: chain error Failed",
    ];
    assert_eq!(log.lines(), expected);
}

#[tokio::test]
async fn finish_ends_as_the_result_says() {
    let (callbacks, log) = recorder();
    for result in [Ok(LlmResult::from_text("yes")), Err(io::Error::other("no"))] {
        let run = callbacks.llm_start(&MODEL, prompts).await.unwrap();
        run.finish(result.as_ref()).await.unwrap();
        let run = callbacks.llm_start(&MODEL, prompts).await.unwrap();
        run.finish(result.map(|result| || result)).await.unwrap();
    }
    let start = r#"Model: llm start ["Why?"]"#;
    let (end, error) = (
        r#"Model: llm end "yes" None"#,
        "Model: llm error Failed None",
    );
    assert_eq!(
        log.lines(),
        [start, end, start, end, start, error, start, error]
    );
}

/// Keeps what it is told about runs.
#[derive(Default)]
struct Infos(Mutex<Vec<(RunInfo, u64)>>);

#[callback_handler]
impl Infos {
    fn on_chain_start(&self, run: &Run<'_>) {
        self.0.lock().unwrap().push((run.info().clone(), run.seq()));
    }

    async fn on_tool_start(&self, run: &Run<'_>) {
        self.0.lock().unwrap().push((run.info().clone(), run.seq()));
    }

    fn on_tool_end(&self, run: &Run<'_>) {
        self.0.lock().unwrap().push((run.info().clone(), run.seq()));
    }
}

#[tokio::test]
async fn a_run_is_told_with_every_event() {
    let infos = Arc::new(Infos::default());
    let before = SystemTime::now();
    let callbacks = Callbacks::new()
        .with(infos.clone())
        .tag("prod")
        .tag("prod")
        .metadata("user", "42");
    let chain = callbacks.chain_start(&CHAIN, &Value::Null).name("planner");
    let chain = chain.kind(RunKind::Agent).await.unwrap();
    let tool = chain.callbacks().tool_start(&TOOL, "").await.unwrap();
    let (chain_id, tool_id) = (chain.id(), tool.id());
    tool.end(&Value::Null).await.unwrap();
    chain.end(&Value::Null).await.unwrap();

    let infos = infos.0.lock().unwrap();
    let [(chain, one), (tool, two), (ended, three)] = &infos[..] else {
        panic!("{infos:?}");
    };
    assert_eq!(
        (chain.id(), tool.id(), ended.id()),
        (chain_id, tool_id, tool_id)
    );
    assert_eq!(
        (chain.parent_id(), tool.parent_id()),
        (None, Some(chain_id))
    );
    assert_eq!((chain.root_id(), tool.root_id()), (chain_id, chain_id));
    assert_eq!((chain.name(), tool.name()), ("planner", "Tool"));
    assert_eq!((chain.kind(), tool.kind()), (RunKind::Agent, RunKind::Tool));
    for info in [chain, tool, ended] {
        assert_eq!(info.tags(), ["prod"]);
        assert_eq!(info.metadata()["user"], "42");
        assert!(before <= info.started_at() && info.started_at() <= SystemTime::now());
    }
    assert!(one < two && two < three, "{one} {two} {three}");
}

#[tokio::test]
async fn ids_are_uuids_of_version_7_that_grow_from_parent_to_child() {
    let callbacks = Callbacks::new();
    let root = callbacks.chain_start(&CHAIN, &Value::Null).await.unwrap();
    let middle = root
        .callbacks()
        .chain_start(&CHAIN, &Value::Null)
        .await
        .unwrap();
    let leaf = middle.callbacks().tool_start(&TOOL, "").await.unwrap();
    // the leaf is asked first
    let ids = [leaf.id(), middle.id(), root.id()];
    assert!(ids[0] > ids[1] && ids[1] > ids[2], "{ids:?}");
    for id in ids {
        assert_eq!(id.as_u128() >> 76 & 0xf, 7, "{id}");
    }
    assert_eq!(leaf.id(), ids[0], "it stays");

    let given: RunId = "0190a6b0-52a1-7f3c-8d5e-3a1b2c3d4e5f".parse().unwrap();
    let run = callbacks.tool_start(&TOOL, "").id(given).await.unwrap();
    assert_eq!(run.id(), given);
}

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
    #[derive(Default)]
    struct Tools(Mutex<Vec<RunInfo>>);

    #[callback_handler]
    impl Tools {
        fn on_tool_start(&self, run: &Run<'_>) {
            self.0.lock().unwrap().push(run.info().clone());
        }

        fn on_tool_error(&self, run: &Run<'_>) {
            self.0.lock().unwrap().push(run.info().clone());
        }
    }

    let tools = Arc::new(Tools::default());
    let callbacks = Callbacks::new().with(tools.clone());
    let chain = callbacks
        .chain_start(&CHAIN, || panic!("unheard"))
        .await
        .unwrap();
    let tool = chain.callbacks().tool_start(&TOOL, "").await.unwrap();
    assert_eq!(tools.0.lock().unwrap()[0].parent_id(), Some(chain.id()));
    // and it still closes what is open inside it
    chain.end(|| panic!("unheard")).await.unwrap();
    assert_eq!(tools.0.lock().unwrap().len(), 2);
    assert!(matches!(
        tool.end(&Value::Null).await,
        Err(EmitError::RunClosed)
    ));
    assert_eq!(tools.0.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_handler_of_text_models_hears_of_chat_models() {
    struct Sync(Log);

    #[callback_handler]
    impl Sync {
        fn on_llm_start(&self, prompts: &[String], serialized: Option<&Serialized>) {
            self.0
                .add(format_args!("sync {prompts:?} {}", serialized.is_some()));
        }
    }

    struct Async(Log);

    #[callback_handler]
    impl Async {
        async fn on_llm_start(&self, prompts: &[String], params: Option<&ModelParams>) {
            tokio::task::yield_now().await;
            self.0
                .add(format_args!("async {prompts:?} {}", params.is_some()));
        }
    }

    struct Chat(Log);

    #[callback_handler]
    impl Chat {
        fn on_llm_start(&self) {
            self.0.add("not called");
        }

        async fn on_chat_model_start(&self, messages: &[Vec<Message>]) {
            self.0.add(format_args!("chat {}", messages[0].len()));
        }
    }

    let log = Log::new();
    let callbacks = Callbacks::new()
        .with(handler(Sync(log.clone())).inline())
        .with(Chat(log.clone()))
        .with(Async(log.clone()));
    let messages = vec![Message::system("be nice"), Message::human("hi")];
    let params = ModelParams::new();
    let run = callbacks
        .chat_model_start(&MODEL, &messages)
        .params(&params)
        .await
        .unwrap();
    drop(run);
    let text = r#"["System: be nice\nHuman: hi"] true"#;
    assert_eq!(
        log.lines(),
        [
            format!("sync {text}"),
            "chat 2".to_owned(),
            format!("async {text}")
        ]
    );
}

#[tokio::test]
async fn messages_come_in_any_shape() {
    let (callbacks, log) = recorder();
    let message = Message::human("hi");
    let list = vec![message.clone()];
    let array = [message.clone()];
    let batch = vec![list.clone()];
    drop(callbacks.chat_model_start(&MODEL, &list).await.unwrap());
    drop(callbacks.chat_model_start(&MODEL, &list[..]).await.unwrap());
    drop(callbacks.chat_model_start(&MODEL, &array).await.unwrap());
    drop(callbacks.chat_model_start(&MODEL, &batch).await.unwrap());
    drop(
        callbacks
            .chat_model_start(&MODEL, || list.clone())
            .await
            .unwrap(),
    );
    drop(
        callbacks
            .chat_model_start(&MODEL, || batch.clone())
            .await
            .unwrap(),
    );
    let starts = log
        .lines()
        .into_iter()
        .filter(|line| line.contains("start"));
    assert_eq!(
        starts.collect::<Vec<_>>(),
        [r#"Model: chat model start ["hi"]"#; 6]
    );
}

// Rule 6: exactly one terminal event per start.

/// Waits until nothing more is on its way.
async fn settled(log: &Log, lines: usize) -> Vec<String> {
    tokio::time::timeout(Duration::from_secs(10), async {
        while log.lines().len() < lines {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("{:?}", log.lines()));
    log.lines()
}

#[tokio::test]
async fn a_guard_dropped_open_closes_with_an_error() {
    let (callbacks, log) = recorder();
    drop(callbacks.llm_start(&MODEL, prompts).await.unwrap());
    drop(callbacks.chain_start(&CHAIN, &Value::Null).await.unwrap());
    drop(callbacks.tool_start(&TOOL, "").await.unwrap());
    drop(callbacks.retriever_start(&RETRIEVER, "").await.unwrap());
    let mut lines = settled(&log, 8).await;
    lines.sort();
    let expected = [
        "Chain: chain error Dropped",
        "Chain: chain start null",
        "Model: llm error Dropped None",
        r#"Model: llm start ["Why?"]"#,
        "Retriever: retriever error Dropped",
        r#"Retriever: retriever start """#,
        r#"Tool: tool error Dropped "the run was dropped before it ended" None"#,
        r#"Tool: tool start "" None None"#,
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn a_panic_in_the_body_closes_the_run() {
    let (callbacks, log) = recorder();
    let body = tokio::spawn(async move {
        let _run = callbacks.chain_start(&CHAIN, &Value::Null).await.unwrap();
        panic!("the body panics");
    });
    assert!(body.await.unwrap_err().is_panic());
    let lines = settled(&log, 2).await;
    assert_eq!(
        lines,
        ["Chain: chain start null", "Chain: chain error Panicked"]
    );
}

#[tokio::test]
async fn a_payload_that_panics_closes_the_run() {
    let (callbacks, log) = recorder();
    let body = tokio::spawn(async move {
        let run = callbacks.chain_start(&CHAIN, &Value::Null).await.unwrap();
        run.end(|| panic!("the payload panics")).await
    });
    assert!(body.await.unwrap_err().is_panic());
    let lines = settled(&log, 2).await;
    assert_eq!(
        lines,
        ["Chain: chain start null", "Chain: chain error Panicked"]
    );
}

/// Stops in its methods until it is let go.
#[derive(Default)]
struct Gate {
    log: Log,
    open: Notify,
}

#[callback_handler]
impl Gate {
    async fn on_llm_start(&self) {
        self.log.add("start entered");
        self.open.notified().await;
        self.log.add("start left");
    }

    async fn on_llm_end(&self, response: &LlmResult) {
        self.log
            .add(format_args!("end entered {}", response.text()));
        self.open.notified().await;
        self.log.add("end left");
    }

    async fn on_llm_error(&self, error: &RunError) {
        self.log.add(format_args!("error {:?}", error.kind));
    }
}

#[tokio::test]
async fn an_end_that_is_cancelled_reaches_its_handlers_in_full() {
    let (gate, (_, log)) = (Arc::new(Gate::default()), recorder());
    let callbacks = Callbacks::new()
        .with(gate.clone())
        .with(Recorder(log.clone()));
    gate.open.notify_one();
    let run = callbacks.llm_start(&MODEL, prompts).await.unwrap();
    assert_eq!(gate.log.take(), ["start entered", "start left"]);

    let mut end = Box::pin(async move { run.end(&LlmResult::from_text("done")).await });
    let polled = end.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    assert_eq!(gate.log.lines(), ["end entered done"]);
    drop(end);
    gate.open.notify_one();
    assert_eq!(
        settled(&gate.log, 2).await,
        ["end entered done", "end left"]
    );
    let expected = [
        r#"Model: llm start ["Why?"]"#,
        r#"Model: llm end "done" None"#,
    ];
    assert_eq!(settled(&log, 2).await, expected);
}

#[tokio::test]
async fn an_end_that_is_never_polled_is_a_dropped_run() {
    let (callbacks, log) = recorder();
    let run = callbacks.chain_start(&CHAIN, &Value::Null).await.unwrap();
    drop(run.end(&Value::Null));
    let lines = settled(&log, 2).await;
    assert_eq!(
        lines,
        ["Chain: chain start null", "Chain: chain error Dropped"]
    );
}

#[tokio::test]
async fn a_start_that_is_cancelled_closes_the_run() {
    let gate = Arc::new(Gate::default());
    let callbacks = Callbacks::new().with(gate.clone());
    {
        let mut start = Box::pin(callbacks.llm_start(&MODEL, prompts).into_future());
        let polled = start.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
    }
    assert_eq!(
        settled(&gate.log, 2).await,
        ["start entered", "error Dropped"]
    );
}

#[tokio::test]
async fn a_start_that_is_never_polled_is_none() {
    let (callbacks, log) = recorder();
    drop(callbacks.llm_start(&MODEL, prompts).into_future());
    drop(callbacks.llm_start(&MODEL, prompts));
    let run = callbacks.chain_start(&CHAIN, &Value::Null).await.unwrap();
    run.end(&Value::Null).await.unwrap();
    assert_eq!(
        log.lines(),
        ["Chain: chain start null", "Chain: chain end null"]
    );
}

/// The task that holds the guard goes down with its runtime; the terminal event does not.
#[test]
fn a_run_whose_runtime_is_dropped_closes() {
    for flavor in ["current thread", "multi thread"] {
        let runtime = match flavor {
            "current thread" => tokio::runtime::Builder::new_current_thread().build(),
            _ => tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .build(),
        };
        let runtime = runtime.unwrap();
        let (callbacks, log) = recorder();
        let gate = Arc::new(Gate::default());
        let callbacks = callbacks.with(gate.clone());
        gate.open.notify_one();
        let started = Arc::new(Notify::new());
        let told = started.clone();
        runtime.spawn(async move {
            let _run = callbacks.llm_start(&MODEL, prompts).await.unwrap();
            told.notify_one();
            std::future::pending::<()>().await;
        });
        runtime.block_on(started.notified());
        drop(runtime);

        let waiting = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        waiting.unwrap().block_on(async {
            let expected = [
                r#"Model: llm start ["Why?"]"#,
                "Model: llm error Dropped None",
            ];
            assert_eq!(settled(&log, 2).await, expected, "{flavor}");
            let expected = ["start entered", "start left", "error Dropped"];
            assert_eq!(settled(&gate.log, 3).await, expected, "{flavor}");
        });
    }
}

#[test]
fn a_run_without_any_runtime_closes() {
    let (callbacks, log) = recorder();
    futures_executor::block_on(async {
        drop(callbacks.chain_start(&CHAIN, &Value::Null).await.unwrap());
    });
    let waiting = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let lines = waiting.unwrap().block_on(settled(&log, 2));
    assert_eq!(
        lines,
        ["Chain: chain start null", "Chain: chain error Dropped"]
    );
}

// Rule 7: parents open before children and close after them.

#[tokio::test]
async fn what_is_open_inside_closes_first_deepest_first() {
    let (callbacks, log) = recorder();
    let root = callbacks
        .chain_start(&CHAIN, &Value::Null)
        .name("root")
        .await
        .unwrap();
    let middle = root
        .callbacks()
        .chain_start(&CHAIN, &Value::Null)
        .name("middle");
    let middle = middle.await.unwrap();
    let leaf = middle
        .callbacks()
        .llm_start(&MODEL, prompts)
        .name("leaf")
        .await
        .unwrap();
    let inside = leaf.callbacks().clone();
    log.take();

    root.end(&Value::Null).await.unwrap();
    let expected = [
        "leaf: llm error Abandoned None",
        "middle: chain error Abandoned",
        "root: chain end null",
    ];
    assert_eq!(log.take(), expected);

    assert!(matches!(
        leaf.new_token("late").await,
        Err(EmitError::RunClosed)
    ));
    assert!(matches!(leaf.text("late").await, Err(EmitError::RunClosed)));
    let late = inside.tool_start(&TOOL, "").await;
    assert!(matches!(late, Err(EmitError::RunClosed)));
    assert!(matches!(
        leaf.end(&LlmResult::default()).await,
        Err(EmitError::RunClosed)
    ));
    let late = middle.error(RunError::new("late")).await;
    assert!(matches!(late, Err(EmitError::RunClosed)));
    assert!(log.lines().is_empty());
}

/// The child's end hangs in a handler and is polled by nobody; the parent's end brings it on.
#[tokio::test]
async fn a_parent_waits_for_a_child_that_is_closing() {
    let (callbacks, log) = recorder();
    let gate = Arc::new(Gate {
        log: log.clone(),
        open: Notify::new(),
    });
    gate.open.notify_one();
    let root = callbacks.chain_start(&CHAIN, &Value::Null).await.unwrap();
    let inside = root.callbacks().with(gate.clone());
    let child = inside.llm_start(&MODEL, prompts).await.unwrap();
    log.take();

    let result = LlmResult::from_text("done");
    let mut end = Box::pin(child.end(&result));
    let polled = end.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    let mut parent = Box::pin(root.end(&Value::Null));
    let polled = parent
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    gate.open.notify_one();
    parent.await.unwrap();
    let lines = log.take();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(lines[3], "Chain: chain end null", "{lines:?}");
    end.await.unwrap();
    assert!(log.lines().is_empty());
}

#[tokio::test]
async fn a_leaked_guard_is_closed_by_its_parent() {
    let (callbacks, log) = recorder();
    let root = callbacks.chain_start(&CHAIN, &Value::Null).await.unwrap();
    std::mem::forget(root.callbacks().tool_start(&TOOL, "").await.unwrap());
    root.end(&Value::Null).await.unwrap();
    let message = "the run was still open when the run around it closed";
    let error = format!("Tool: tool error Abandoned {message:?} None");
    assert_eq!(log.lines()[2..], [error.as_str(), "Chain: chain end null"]);
}

#[tokio::test]
async fn a_deep_tree_closes_without_recursion() {
    struct Errors(Mutex<usize>);

    #[callback_handler]
    impl Errors {
        fn on_chain_error(&self) {
            *self.0.lock().unwrap() += 1;
        }
    }

    let errors = Arc::new(Errors(Mutex::new(0)));
    let callbacks = Callbacks::new().with(handler(errors.clone()).inline());
    let root = callbacks.chain_start(&CHAIN, &Value::Null).await.unwrap();
    let mut runs = vec![
        root.callbacks()
            .chain_start(&CHAIN, &Value::Null)
            .await
            .unwrap(),
    ];
    for _ in 1..10_000 {
        let parent = runs.last().unwrap();
        runs.push(
            parent
                .callbacks()
                .chain_start(&CHAIN, &Value::Null)
                .await
                .unwrap(),
        );
    }
    root.end(&Value::Null).await.unwrap();
    assert_eq!(*errors.0.lock().unwrap(), 10_000);
    // the last one alone holds all the others' infos
    let last = runs.pop();
    drop(runs);
    drop(last);
}

#[tokio::test]
async fn a_wide_tree_closes_in_time() {
    struct Errors(Mutex<usize>);

    #[callback_handler]
    impl Errors {
        fn on_tool_error(&self) {
            *self.0.lock().unwrap() += 1;
        }
    }

    let errors = Arc::new(Errors(Mutex::new(0)));
    let callbacks = Callbacks::new().with(handler(errors.clone()).inline());
    let root = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
    let mut runs = Vec::new();
    for _ in 0..100_000 {
        runs.push(root.callbacks().tool_start(&TOOL, "").await.unwrap());
    }
    root.end(Value::Null).await.unwrap();
    assert_eq!(*errors.0.lock().unwrap(), 100_000);
    drop(runs);
}

/// Runs and handlers hold each other while a run is open, and no longer.
#[tokio::test]
async fn a_closed_run_leaves_nothing_behind() {
    let recorder = Arc::new(Recorder::default());
    let handler = Arc::downgrade(&recorder);
    let callbacks = Callbacks::new().with(recorder);
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

#[tokio::test]
async fn wants_says_the_same_before_and_after_there_is_an_id() {
    struct Ends;

    #[callback_handler]
    impl Ends {
        fn on_llm_end(&self) {}
    }

    let callbacks = Callbacks::new().with(Ends);
    let chain = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
    assert!(chain.wants::<callbacks::events::LlmEnd<'_>>());
    let _ = chain.id();
    assert!(chain.wants::<callbacks::events::LlmEnd<'_>>());
    assert!(!chain.wants::<callbacks::events::LlmStart<'_>>());
}

/// The start is on its way to the handlers when the run around it closes.
#[tokio::test]
async fn a_run_that_is_closed_while_it_starts_has_a_start_and_an_end() {
    /// Ends the run around the one that starts.
    struct Closer {
        log: Log,
        parent: Mutex<Option<callbacks::ChainRun>>,
    }

    #[callback_handler]
    impl Closer {
        fn on_tool_start(&self) {
            let Some(parent) = self.parent.lock().unwrap().take() else {
                return;
            };
            let mut end = Box::pin(parent.end(Value::Null));
            let polled = end.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending(), "it waits for the start");
            self.log.add("closing");
        }
    }

    let (callbacks, log) = recorder();
    let closer = Arc::new(Closer {
        log: log.clone(),
        parent: Mutex::new(None),
    });
    let callbacks = callbacks.with(handler(closer.clone()).inline());
    let parent = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
    let inside = parent.callbacks().clone();
    log.take();
    *closer.parent.lock().unwrap() = Some(parent);
    let tool = inside.tool_start(&TOOL, "").await.unwrap();
    let lines = settled(&log, 4).await;
    let message = "the run was still open when the run around it closed";
    let expected = [
        "closing".to_owned(),
        r#"Tool: tool start "" None None"#.to_owned(),
        format!("Tool: tool error Abandoned {message:?} None"),
        "Chain: chain end null".to_owned(),
    ];
    assert_eq!(lines, expected);
    assert!(matches!(
        tool.end(Value::Null).await,
        Err(EmitError::RunClosed)
    ));
}

/// Parents close on one thread while children start on another.
#[test]
fn starts_and_closings_race() {
    #[derive(Default)]
    struct Balance(Mutex<std::collections::HashMap<RunId, i32>>);

    #[callback_handler]
    impl Balance {
        fn on_llm_start(&self, run: &Run<'_>) {
            *self.0.lock().unwrap().entry(run.id()).or_default() += 1;
        }

        fn on_llm_error(&self, run: &Run<'_>) {
            let mut balance = self.0.lock().unwrap();
            let open = balance.get_mut(&run.id()).expect("a start before its end");
            *open -= 1;
        }
    }

    let balance = Arc::new(Balance::default());
    let callbacks = Callbacks::new().with(balance.clone());
    // large enough that its copy takes a while
    let prompts = vec!["prompt".to_owned(); 2_000];
    for round in 0..200 {
        let root = callbacks.chain_start(&CHAIN, Value::Null);
        let root = futures_executor::block_on(root.into_future()).unwrap();
        let inside = root.callbacks().clone();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                futures_executor::block_on(async {
                    while let Ok(run) = inside.llm_start(&MODEL, &prompts).await {
                        std::mem::forget(run);
                    }
                });
            });
            (0..round).for_each(|_| std::thread::yield_now());
            futures_executor::block_on(root.end(Value::Null)).unwrap();
        });
    }
    let balance = balance.0.lock().unwrap();
    assert!(balance.values().all(|open| *open == 0), "{balance:?}");
}

// Ambient runs.

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
