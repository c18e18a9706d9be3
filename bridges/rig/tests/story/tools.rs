//! Tools that are called at once, that are not there, and that an index chooses.

use callbacks::Role;
use callbacks::events::AnyEvent;
use callbacks_loopback::{Answer, Server};
use callbacks_rig::Observe;
use serde_json::json;

use crate::common::{self, ANSWER, agent, lines, read, recorded, script, serve, settle};

/// Each under its own agent's run, whichever came first.
#[tokio::test]
async fn tools_at_once() {
    let server = serve(script);
    let (recorder, callbacks) = recorded();
    let both = std::sync::Arc::new(tokio::sync::Barrier::new(2));
    let meets = |name: &str| {
        let both = both.clone();
        common::tool(name, move |_| {
            let both = both.clone();
            async move {
                both.wait().await;
                Ok(rig_agent::tool::ToolOutput::text("met"))
            }
        })
    };
    // in place of those that answer at once
    let agent = common::agent_with(&server, [meets("weather"), meets("time")]);
    let run = agent.prompt("How is Rome?").tool_concurrency(2);
    let response = run.observed(&callbacks).await.unwrap();
    assert_eq!(response.output(), ANSWER);
    settle(&callbacks).await;
    recorder.assert_balanced();
    let events = recorder.events();
    let ended = events.iter().filter_map(|event| match event.event() {
        AnyEvent::ToolEnd(end) => Some((event.run().name().to_owned(), end.tool_call_id)),
        _ => None,
    });
    let mut ended: Vec<_> = ended.collect();
    ended.sort_unstable();
    let expected = [
        ("time".to_owned(), Some("call_2")),
        ("weather".to_owned(), Some("call_1")),
    ];
    assert_eq!(ended, expected);
}

/// Where rig decides, what the model said is known.
#[tokio::test]
async fn an_unknown_tool() {
    for streamed in [false, true] {
        let unknown = Answer::new(["I see."]).tool_call("call_1", "unknown", ["{}"]);
        let server = Server::start([unknown]).unwrap();
        let (recorder, callbacks) = recorded();
        let run = agent(&server).prompt("Why?").observed(&callbacks);
        let response = if streamed {
            read(run.stream()).await.1
        } else {
            run.await
        };
        response.unwrap_err();
        settle(&callbacks).await;
        recorder.assert_balanced();
        let events = recorder.events();
        let partial = events.iter().find_map(|event| match event.event() {
            AnyEvent::LlmError(event) => event.response,
            _ => None,
        });
        let message = partial.unwrap().generations[0][0].message.as_ref().unwrap();
        assert_eq!(message.role, Role::Ai);
        assert_eq!(message.text(), "I see.");
        assert_eq!(message.tool_calls.len(), 1, "{message:?}");
    }
}

/// Before each turn, an index chooses the tools for it.
#[tokio::test]
async fn tools_that_are_retrieved() {
    let server = serve(common::wants("weather"));
    let (recorder, callbacks) = recorded();
    let agent = common::choosing_agent(&server, common::Index { works: true });
    let response = agent.prompt("How is Rome?").observed(&callbacks).await;
    assert_eq!(response.unwrap().output(), ANSWER);
    settle(&callbacks).await;
    recorder.assert_balanced();
    let events = recorder.events();
    let mut told = Vec::new();
    for event in &events {
        told.push(match event.event() {
            AnyEvent::RetrieverStart(start) => json!(start.query),
            AnyEvent::RetrieverEnd(end) => json!(end.documents),
            _ => continue,
        });
    }
    let found = json!([{ "page_content": "", "id": "weather", "score": 0.5 }]);
    assert_eq!(
        told,
        [
            json!("How is Rome?"),
            found.clone(),
            json!("How is Rome?"),
            found
        ]
    );
    assert_eq!(
        lines(&recorder)[1],
        "on_retriever_start VectorStoreIndex in host"
    );
}
