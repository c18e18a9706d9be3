//! Runs: what their events say.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use callbacks::events::ChatModelStart;
use callbacks::testing::{Recorder, assert_events};
use callbacks::{
    AgentAction, AgentFinish, Callbacks, Chunk, Document, Event, Interests, LlmResult, Message,
    ModelParams, RetryState, Run, RunError, RunId, RunInfo, RunKind, Serialized, callback_handler,
    handler,
};
use callbacks_tests::{CHAIN, Log, MODEL, RETRIEVER, TOOL, logger, prompts};
use serde_json::{Value, json};

#[tokio::test]
async fn every_event_reaches_its_method_with_its_fields() {
    let (callbacks, log) = logger();
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
    let recorder = Recorder::new();
    let callbacks = Callbacks::new().with(recorder.clone());
    for result in [Ok(LlmResult::from_text("yes")), Err(io::Error::other("no"))] {
        let run = callbacks.llm_start(&MODEL, prompts).await.unwrap();
        run.finish(result.as_ref()).await.unwrap();
        let run = callbacks.llm_start(&MODEL, prompts).await.unwrap();
        run.finish(result.map(|result| || result)).await.unwrap();
    }
    assert_events!(
        recorder,
        [
            LlmStart,
            LlmEnd { response } if response.text() == "yes",
            LlmStart,
            LlmEnd { response } if response.text() == "yes",
            LlmStart,
            LlmError { error, response: None } if error.message == "no",
            LlmStart,
            LlmError { error, response: None } if error.message == "no",
        ]
    );
    recorder.assert_balanced();
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
    let starts = Recorder::new();
    let only = Interests::of(&[ChatModelStart::INDEX]);
    let callbacks = Callbacks::new().with(handler(starts.clone()).only(only));
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
    assert_eq!(starts.len(), 6);
    for start in starts.take() {
        assert_events!([start], [ChatModelStart { messages } if messages == batch]);
    }
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

#[tokio::test]
async fn runs_are_told_apart_whatever_their_ids() {
    /// How many events of each run it heard.
    #[derive(Clone, Default)]
    struct Heard(Arc<Mutex<HashMap<RunInfo, u64>>>);

    impl Heard {
        fn hear(&self, run: &Run<'_>) {
            *self
                .0
                .lock()
                .unwrap()
                .entry(run.info().clone())
                .or_default() += 1;
        }
    }

    #[callback_handler]
    impl Heard {
        fn on_tool_start(&self, run: &Run<'_>) {
            self.hear(run);
        }

        fn on_tool_end(&self, run: &Run<'_>) {
            self.hear(run);
        }
    }

    for inline in [true, false] {
        let heard = Heard::default();
        let handler = handler(heard.clone());
        let handler = if inline { handler.inline() } else { handler };
        let callbacks = Callbacks::new().with(handler);
        let start = async || {
            let start = callbacks.tool_start(&TOOL, "tea").id(RunId::from(7));
            start.await.unwrap()
        };
        let (a, b) = (start().await, start().await);
        let (a_info, b_info) = (a.info().clone(), b.info().clone());
        assert_eq!(a_info.id(), b_info.id());
        assert_ne!(a_info, b_info);
        assert_eq!(a.callbacks().run_info(), Some(&a_info));
        a.end(&json!(1)).await.unwrap();
        b.end(&json!(1)).await.unwrap();
        let report = callbacks.flush(Duration::from_secs(10)).await;
        assert!(report.is_complete());

        let heard = heard.0.lock().unwrap();
        assert_eq!(heard.len(), 2);
        assert_eq!([&a_info, &b_info].map(|run| heard[run]), [2, 2]);
    }
}
