//! What a chat model over HTTP promises: what it tells of an answer, and one end of each run, whatever happens on
//! the way.

mod agent;
mod answers;
mod endings;
mod faults;
mod program;
mod retries;

use std::time::Duration;

use callbacks::events::AnyEvent;
use callbacks::testing::Recorder;
use callbacks::{Callbacks, Chunk, LlmResult, Message, RunError, handler};
use callbacks_examples::{ChatError, ChatOpenAi};
use callbacks_loopback::{Answer, Reply, Server};
use serde_json::json;

/// A server with this script, a model that streams from it, and what is recorded of it.
struct Scene {
    server: Server,
    chat: ChatOpenAi,
    recorder: Recorder,
    callbacks: Callbacks,
}

impl Scene {
    fn new<R: Into<Reply>>(replies: impl IntoIterator<Item = R>) -> Self {
        Self::with(&Callbacks::new(), replies)
    }

    /// Others hear of it first.
    fn with<R: Into<Reply>>(others: &Callbacks, replies: impl IntoIterator<Item = R>) -> Self {
        let server = Server::start(replies).unwrap();
        let recorder = Recorder::new();
        let callbacks = others.clone().with(handler(recorder.clone()).inline());
        let chat = chat(&server).callbacks(callbacks.clone());
        Self {
            server,
            chat,
            recorder,
            callbacks,
        }
    }

    async fn ask(&self) -> Result<LlmResult, ChatError> {
        self.chat.generate(&[vec![Message::human("Why?")]]).await
    }

    /// Everything that was started is over, once.
    async fn settle(&self) {
        let report = self.callbacks.flush(Duration::from_secs(60)).await;
        assert!(report.is_complete(), "{report:?}");
        self.recorder.assert_balanced();
    }

    /// What the handlers were told of the answer.
    fn chunks(&self) -> Vec<Chunk> {
        let events = self.recorder.events();
        let chunk = |event: AnyEvent<'_>| match event {
            AnyEvent::LlmNewToken(event) => event.chunk.cloned(),
            _ => None,
        };
        let chunks = events.iter().filter_map(|event| chunk(event.event()));
        chunks.collect()
    }

    fn tokens(&self) -> Vec<String> {
        self.chunks().into_iter().map(|chunk| chunk.text).collect()
    }

    fn end(&self) -> Option<LlmResult> {
        let events = self.recorder.events();
        events.iter().find_map(|event| match event.event() {
            AnyEvent::LlmEnd(event) => Some(event.response.clone()),
            _ => None,
        })
    }

    /// Why the first model that failed did so, and what had arrived.
    fn error(&self) -> Option<(RunError, Option<LlmResult>)> {
        let events = self.recorder.events();
        events.iter().find_map(|event| match event.event() {
            AnyEvent::LlmError(event) => Some((event.error.clone(), event.response.cloned())),
            _ => None,
        })
    }
}

fn chat(server: &Server) -> ChatOpenAi {
    let chat = ChatOpenAi::new().endpoint(&server.base_url(), "a-key");
    chat.unwrap().model("gpt-4o-mini").streaming(true)
}

fn because() -> Answer {
    let usage = json!({ "prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12 });
    Answer::new(["Be", "cause", "."]).usage(usage)
}
