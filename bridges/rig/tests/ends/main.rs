//! However an agent ends, each of its runs has exactly one end, and the agent's own result is rig's.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use callbacks::events::AnyEvent;
use callbacks::testing::{Faulty, Recorder};
use callbacks::{Callbacks, ChainRun, EmitError, ErrorKind, LlmResult, callback_handler, handler};
use callbacks_loopback::{Event, Gate, Reply, Server};
use callbacks_rig::{Observe, emit_error};
use futures_util::future::{BoxFuture, join_all, poll_fn};
use futures_util::{FutureExt, StreamExt};
use rig_agent::agent::{AgentHook, HookContext, RunStart, RunStartAction};
use rig_agent::tool::ToolOutput;
use rig_agent::{Agent, AgentBuilder};
use rig_core::id::ConversationId;
use rig_core::memory::{ConversationMemory, MemoryError};
use rig_core::message::Message;
use serde_json::json;
use tokio::sync::Barrier;
use tokio::task::yield_now;

mod common;

use common::{
    ANSWER, agent, agent_with, answers, failures, read, script, serve, settle, wants, wants_tools,
};

fn recorded() -> (Recorder, Callbacks) {
    let recorder = Recorder::new();
    let callbacks = Callbacks::new().with(recorder.clone());
    (recorder, callbacks)
}

/// The answer of an agent, or the text of its error.
type Answered = Result<String, String>;

/// Asks with callbacks or without, streaming or not, and with two tools at once.
fn ask<'a>(
    agent: &'a Agent,
    streamed: bool,
    callbacks: Option<&'a Callbacks>,
) -> BoxFuture<'a, Answered> {
    let run = agent.prompt("How is Rome?").tool_concurrency(2);
    Box::pin(async move {
        let response = match (callbacks, streamed) {
            (None, false) => run.await,
            (None, true) => read(run.stream()).await.1,
            (Some(callbacks), false) => run.observed(callbacks).await,
            (Some(callbacks), true) => read(run.observed(callbacks).stream()).await.1,
        };
        let response = response.map(|response| response.output());
        response.map_err(|error| error.to_string())
    })
}

/// Both ways, each beside rig alone, which has the same result.
async fn ask_both_ways(agent: &Agent) -> Vec<(Answered, Recorder)> {
    let mut all = Vec::new();
    for streamed in [false, true] {
        let (recorder, callbacks) = recorded();
        let answer = ask(agent, streamed, Some(&callbacks)).await;
        assert_eq!(answer, ask(agent, streamed, None).await);
        settle(&callbacks).await;
        recorder.assert_balanced();
        all.push((answer, recorder));
    }
    all
}

/// Polls it so many times: each time when it is woken.
async fn poll_times<T>(future: &mut BoxFuture<'_, T>, mut polls: usize) -> Option<T> {
    poll_fn(|cx| {
        if polls == 0 {
            return Poll::Ready(None);
        }
        polls -= 1;
        match future.poll_unpin(cx) {
            Poll::Pending if polls == 0 => Poll::Ready(None),
            polled => polled.map(Some),
        }
    })
    .await
}

/// Wherever it is dropped: after every number of polls that it may have had.
async fn dropped_everywhere(streamed: bool) {
    let server = serve(script);
    let agent = agent(&server);
    for polls in 0.. {
        let recorder = Recorder::new();
        // A handler that suspends makes every emission a place to be dropped at.
        let suspends = Faulty::calling_async(|_| async {
            for _ in 0..5 {
                yield_now().await;
            }
        });
        let callbacks = Callbacks::new()
            .with(handler(recorder.clone()).inline())
            .with(suspends);
        let mut running = ask(&agent, streamed, Some(&callbacks));
        let answer = poll_times(&mut running, polls).await;
        drop(running);
        settle(&callbacks).await;
        recorder.assert_balanced();
        if let Some(answer) = answer {
            assert_eq!(answer.as_deref(), Ok(ANSWER));
            assert!(polls > 20, "{polls}");
            return;
        }
    }
}

#[tokio::test]
async fn a_future_that_is_dropped_ends_all_its_runs() {
    dropped_everywhere(false).await;
}

#[tokio::test]
async fn a_stream_that_is_dropped_ends_all_its_runs() {
    dropped_everywhere(true).await;
}

/// While the model speaks, and with what it had said.
#[tokio::test]
async fn a_stream_that_is_dropped_midway_has_a_partial_answer() {
    let server =
        Server::start([Reply::from(answers()).after(3, Event::Hold(Gate::new()))]).unwrap();
    let (recorder, callbacks) = recorded();
    let mut stream = agent(&server).prompt("Why?").observed(&callbacks).stream();
    let mut said = 0;
    while said < 2 {
        let item = stream.next().await.unwrap().unwrap();
        said += usize::from(json!(item).to_string().contains(r#""text":""#));
    }
    drop(stream);
    server.left(1).await;
    settle(&callbacks).await;
    recorder.assert_balanced();
    let expected = [
        "on_llm_error dropped: the run was dropped before it ended",
        "on_chain_error dropped: the run was dropped before it ended",
    ];
    assert_eq!(failures(&recorder), expected);
    assert_eq!(partial(&recorder).unwrap().text(), "Sunny at");
}

#[tokio::test]
async fn a_run_that_nobody_polls_does_not_begin() {
    let server = serve(script);
    let (recorder, callbacks) = recorded();
    let agent = agent(&server);
    drop(agent.prompt("Why?").observed(&callbacks).into_future());
    drop(agent.prompt("Why?").observed(&callbacks).stream());
    settle(&callbacks).await;
    assert!(recorder.is_empty());
}

/// Whoever has the response may drop the stream.
#[tokio::test]
async fn a_run_is_over_when_the_response_is_given_out() {
    let server = Server::start([answers()]).unwrap();
    let (recorder, callbacks) = recorded();
    let mut stream = agent(&server).prompt("Why?").observed(&callbacks).stream();
    while let Some(item) = stream.next().await {
        if json!(item.unwrap())["type"] == "finalResponse" {
            break;
        }
    }
    drop(stream);
    settle(&callbacks).await;
    recorder.assert_balanced();
    assert_eq!(failures(&recorder), [""; 0]);
}

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

/// What had arrived of the answer of the model that failed.
fn partial(recorder: &Recorder) -> Option<LlmResult> {
    let events = recorder.events();
    let mut errors = events.iter().filter_map(|event| match event.event() {
        AnyEvent::LlmError(event) => Some(event.response.cloned()),
        _ => None,
    });
    errors.next().expect("a model has failed")
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

/// Requests to one agent poll each other's tools, so a panic of one is seen by any. Each has its own end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_among_requests_to_one_agent() {
    for _ in 0..20 {
        let server = serve(|request| {
            let panics = request.body["messages"].to_string().contains("panic");
            wants(if panics { "panics" } else { "weather" })(request)
        });
        let (recorder, callbacks) = recorded();
        let agent = agent(&server);
        let requests = (0..6).map(|index| {
            let (agent, callbacks) = (agent.clone(), callbacks.clone());
            let prompt = if index == 3 { "panic" } else { "go on" };
            tokio::spawn(async move { agent.prompt(prompt).observed(&callbacks).await.is_ok() })
        });
        join_all(requests).await;
        settle(&callbacks).await;
        recorder.assert_balanced();
    }
}

/// Many requests at once to one agent, and to several, with one value.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_at_once_do_not_mix() {
    let server = serve(script);
    let (recorder, callbacks) = recorded();
    let agents = [agent(&server), agent(&server)];
    let all = Arc::new(Barrier::new(12));
    let requests = (0..12).map(|index| {
        let agent = agents[index % 2].clone();
        let (callbacks, all) = (callbacks.tag(index.to_string()), all.clone());
        tokio::spawn(async move {
            all.wait().await;
            ask(&agent, index % 3 == 0, Some(&callbacks)).await
        })
    });
    for answer in join_all(requests).await {
        assert_eq!(answer.unwrap().as_deref(), Ok(ANSWER));
    }
    settle(&callbacks).await;
    recorder.assert_balanced();
    let events = recorder.events();
    let mut starts = vec![Vec::new(); 12];
    for event in &events {
        let run = event.run();
        // Whoever polled it: a tool is in the run of its own request.
        if let Some(parent) = run.parent() {
            assert_eq!(run.tags(), parent.tags());
            assert_eq!(parent.name(), "host");
        }
        if event.method().ends_with("_start") {
            let request: usize = run.tags()[0].parse().unwrap();
            starts[request].push(event.method());
        }
    }
    for mut starts in starts {
        starts.sort_unstable();
        let expected = [
            "on_chain_start",
            "on_chat_model_start",
            "on_chat_model_start",
            "on_tool_start",
            "on_tool_start",
        ];
        assert_eq!(starts, expected);
    }
}

/// One request to an agent is given up while others go on, with a tool of its own under way.
#[tokio::test]
async fn a_request_among_others_that_is_dropped() {
    let gate = Gate::new();
    let waiting = gate.clone();
    let waits = common::tool("waits", move |_| {
        let gate = waiting.clone();
        async move {
            gate.opened().await;
            Ok(ToolOutput::text("done"))
        }
    });
    let server = serve(wants("waits"));
    let agent = agent_with(&server, [waits]);
    let (kept, given_up) = (recorded(), recorded());
    let mut one = ask(&agent, false, Some(&kept.1));
    let mut other = ask(&agent, false, Some(&given_up.1));
    let in_tool = |recorder: &Recorder| {
        let events = recorder.events();
        events.iter().any(|event| event.method() == "on_tool_start")
    };
    while !in_tool(&kept.0) || !in_tool(&given_up.0) {
        assert!(futures_util::poll!(&mut one).is_pending());
        assert!(futures_util::poll!(&mut other).is_pending());
        yield_now().await;
    }
    drop(other);
    settle(&given_up.1).await;
    given_up.0.assert_balanced();
    let expected = [
        "on_tool_error dropped: the run was dropped before it ended",
        "on_chain_error dropped: the run was dropped before it ended",
    ];
    assert_eq!(failures(&given_up.0), expected);
    gate.open();
    assert_eq!(one.await.as_deref(), Ok(ANSWER));
    settle(&kept.1).await;
    kept.0.assert_balanced();
    assert_eq!(failures(&kept.0), [""; 0]);
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
