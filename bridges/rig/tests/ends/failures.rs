//! Models, tools, indexes and histories that fail, and an agent that may not go on.

use std::panic::AssertUnwindSafe;

use callbacks_loopback::{Event, Reply};
use callbacks_rig::Observe;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use rig_agent::AgentBuilder;
use rig_agent::agent::{AgentHook, HookContext, RunStart, RunStartAction};
use rig_core::id::ConversationId;
use rig_core::memory::{ConversationMemory, MemoryError};
use rig_core::message::Message;

use super::{ask, ask_both_ways, partial};
use crate::common::{
    self, ANSWER, agent, answers, failures, recorded, script, serve, settle, wants, wants_tools,
};

#[tokio::test]
async fn an_error_of_the_model() {
    for (status, message) in [(500, "we broke"), (429, "slow down")] {
        let server = serve(move |_| Reply::error(status, message));
        for (answer, recorder) in ask_both_ways(&agent(&server)).await {
            let error = answer.unwrap_err();
            assert!(error.contains(message), "{error}");
            let expected = [
                format!("on_llm_error failed: {error}"),
                format!("on_chain_error failed: {error}"),
            ];
            assert_eq!(failures(&recorder), expected);
            // Nothing had arrived.
            assert_eq!(partial(&recorder), None);
        }
    }
}

/// In the second turn, after two tools.
#[tokio::test]
async fn a_later_error_of_the_model() {
    let server = serve(|request| {
        if common::is_first(request) {
            Reply::from(wants_tools())
        } else {
            Reply::error(500, "we broke")
        }
    });
    for (_, recorder) in ask_both_ways(&agent(&server)).await {
        assert_eq!(failures(&recorder).len(), 2);
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_midway() {
    for end in [Event::Cut, Event::End] {
        let server = serve(move |_| Reply::from(answers()).after(3, end.clone()));
        let all = ask_both_ways(&agent(&server)).await;
        // Streamed, the role and two tokens had arrived.
        let (answer, recorder) = all.last().unwrap();
        assert!(answer.is_err());
        assert_eq!(failures(recorder).len(), 2);
        assert_eq!(partial(recorder).unwrap().text(), "Sunny at");
    }
}

#[tokio::test]
async fn a_tool_that_fails() {
    let server = serve(wants("fails"));
    for (answer, recorder) in ask_both_ways(&agent(&server)).await {
        // The model has read of it, and answers.
        assert_eq!(answer.as_deref(), Ok(ANSWER));
        assert_eq!(failures(&recorder), ["on_tool_error failed: no network"]);
    }
}

#[tokio::test]
async fn a_tool_that_panics() {
    for streamed in [false, true] {
        let server = serve(wants("panics"));
        let (recorder, callbacks) = recorded();
        let agent = agent(&server);
        let running = ask(&agent, streamed, Some(&callbacks));
        AssertUnwindSafe(running).catch_unwind().await.unwrap_err();
        settle(&callbacks).await;
        recorder.assert_balanced();
        let expected = [
            "on_tool_error panicked: the code that ran it panicked",
            "on_chain_error panicked: the code that ran it panicked",
        ];
        assert_eq!(failures(&recorder), expected);
    }
}

/// A stream outlives the panic of its poll. Its runs do not.
#[tokio::test]
async fn a_tool_that_panics_in_a_stream_that_is_kept() {
    let server = serve(wants("panics"));
    let (recorder, callbacks) = recorded();
    let mut stream = agent(&server).prompt("Why?").observed(&callbacks).stream();
    let reading = async { while stream.next().await.is_some() {} };
    AssertUnwindSafe(reading).catch_unwind().await.unwrap_err();
    settle(&callbacks).await;
    recorder.assert_balanced();
    assert_eq!(failures(&recorder).len(), 2);
    drop(stream);
}

/// Stops the agent before it begins.
struct Never;

impl AgentHook for Never {
    async fn on_run_start(&self, _: &HookContext, _: RunStart<'_>) -> RunStartAction {
        RunStartAction::stop("not today")
    }
}

#[tokio::test]
async fn an_agent_that_another_hook_stops() {
    let server = serve(script);
    let (recorder, callbacks) = recorded();
    let run = agent(&server).prompt("Why?").add_hook(Never);
    run.observed(&callbacks).await.unwrap_err();
    settle(&callbacks).await;
    recorder.assert_balanced();
    let expected = ["on_chain_error failed: the run was cancelled: not today"];
    assert_eq!(failures(&recorder), expected);
}

#[tokio::test]
async fn an_index_that_fails() {
    let server = serve(script);
    let agent = common::choosing_agent(&server, common::Index { works: false });
    for (answer, recorder) in ask_both_ways(&agent).await {
        assert!(answer.unwrap_err().contains("no index"));
        let failures = failures(&recorder);
        assert!(
            failures[0].starts_with("on_retriever_error failed"),
            "{failures:?}"
        );
        assert!(
            failures[1].starts_with("on_chain_error failed"),
            "{failures:?}"
        );
        assert_eq!(failures.len(), 2);
    }
}

/// Before the agent begins, for rig.
#[tokio::test]
async fn a_history_that_cannot_be_loaded() {
    struct Broken;

    fn broken() -> MemoryError {
        MemoryError::Internal("no disk".to_owned())
    }

    impl ConversationMemory for Broken {
        fn load<'a>(
            &'a self,
            _: &'a ConversationId,
        ) -> BoxFuture<'a, Result<Vec<Message>, MemoryError>> {
            Box::pin(async { Err(broken()) })
        }

        fn append<'a>(
            &'a self,
            _: &'a ConversationId,
            _: Vec<Message>,
        ) -> BoxFuture<'a, Result<(), MemoryError>> {
            Box::pin(async { Err(broken()) })
        }

        fn clear<'a>(&'a self, _: &'a ConversationId) -> BoxFuture<'a, Result<(), MemoryError>> {
            Box::pin(async { Err(broken()) })
        }
    }

    let server = serve(script);
    let agent = AgentBuilder::new(common::model(&server))
        .memory(Broken)
        .conversation("1")
        .build();
    for (answer, recorder) in ask_both_ways(&agent).await {
        assert!(answer.unwrap_err().contains("no disk"));
        assert_eq!(failures(&recorder).len(), 1);
        assert_eq!(recorder.len(), 2);
    }
}

#[tokio::test]
async fn too_many_turns() {
    let server = serve(|_| wants_tools());
    for (answer, recorder) in ask_both_ways(&agent(&server)).await {
        assert!(answer.unwrap_err().contains("max turns"));
        assert_eq!(failures(&recorder).len(), 1);
    }
}
