//! What the tests share: a log, and handlers that write into it.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use callbacks::events::{
    AgentAction, AgentFinish, ChainEnd, ChainError, ChainStart, ChatModelStart, CustomEvent,
    LlmEnd, LlmError, LlmNewToken, LlmStart, RetrieverEnd, RetrieverError, RetrieverStart, Retry,
    Text, ToolEnd, ToolError, ToolStart,
};
use callbacks::{Callbacks, LlmRun, Run, Serialized, callback_handler};

/// Lines, in the order of writing. Clones write into the same log.
#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a line.
    pub fn add(&self, line: impl fmt::Display) {
        let line = line.to_string();
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
    }

    /// What was written so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What was written since the last `take`.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The prompts of a run.
#[must_use]
pub fn prompts() -> Vec<String> {
    vec!["Why?".to_owned()]
}

/// Callbacks with a [`Recorder`], and its log.
pub fn recorder() -> (Callbacks, Log) {
    let recorder = Recorder::default();
    let log = recorder.0.clone();
    (Callbacks::new().with(recorder), log)
}

/// An open run of a model called `Model`.
///
/// # Panics
///
/// If its start fails.
pub async fn start(callbacks: &Callbacks) -> LlmRun {
    static MODEL: Serialized = Serialized::new("Model");
    callbacks
        .llm_start(&MODEL, prompts)
        .await
        .expect("a run starts")
}

/// Lets others go first, so many times, on any executor.
pub async fn yields(mut times: usize) {
    poll_fn(|cx| {
        if times == 0 {
            return Poll::Ready(());
        }
        times -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// How many of so many futures leave the waker behind that they were polled with, when they are
/// dropped again.
///
/// # Panics
///
/// If one of them is ready.
pub fn wakers_left<F: Future>(count: usize, future: impl Fn() -> F) -> usize {
    struct WakesNobody;

    impl Wake for WakesNobody {
        fn wake(self: Arc<Self>) {}
    }

    let polled = |_| {
        let counted = Arc::new(WakesNobody);
        let waker = Waker::from(counted.clone());
        let polled = pin!(future()).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        counted
    };
    let all: Vec<_> = (0..count).map(polled).collect();
    let left = all.iter().filter(|counted| Arc::strong_count(counted) > 1);
    left.count()
}

/// Writes the tokens of a model into its log, behind its name.
#[derive(Clone, Debug)]
pub struct Order {
    /// Where to.
    pub log: Log,
    /// What to call it.
    pub name: &'static str,
}

#[callback_handler]
impl Order {
    fn on_llm_new_token(&self, token: &str) {
        self.log.add(format_args!("{} {token}", self.name));
    }
}

/// Writes every built-in event into its log: the run's name, the event, its fields.
#[derive(Clone, Debug, Default)]
pub struct Recorder(pub Log);

impl Recorder {
    fn add(&self, run: &Run<'_>, event: impl fmt::Display) {
        self.0.add(format_args!("{}: {event}", run.name()));
    }
}

#[callback_handler]
impl Recorder {
    fn on_llm_start(&self, event: &LlmStart<'_>, run: &Run<'_>) {
        self.add(run, format_args!("llm start {:?}", event.prompts));
    }

    fn on_chat_model_start(&self, event: &ChatModelStart<'_>, run: &Run<'_>) {
        let texts = event
            .messages
            .iter()
            .flatten()
            .map(callbacks::Message::text);
        self.add(
            run,
            format_args!("chat model start {:?}", texts.collect::<Vec<_>>()),
        );
    }

    fn on_llm_new_token(&self, event: &LlmNewToken<'_>, run: &Run<'_>) {
        let chunk = event.chunk.map(|chunk| &chunk.text);
        self.add(
            run,
            format_args!("token {:?} {chunk:?} {}", event.token, event.choice),
        );
    }

    fn on_llm_end(&self, event: &LlmEnd<'_>, run: &Run<'_>) {
        let model = event.params.and_then(|params| params.model.as_deref());
        self.add(
            run,
            format_args!("llm end {:?} {model:?}", event.response.text()),
        );
    }

    fn on_llm_error(&self, event: &LlmError<'_>, run: &Run<'_>) {
        let partial = event.response.map(callbacks::LlmResult::text);
        self.add(
            run,
            format_args!("llm error {:?} {partial:?}", event.error.kind),
        );
    }

    fn on_chain_start(&self, event: &ChainStart<'_>, run: &Run<'_>) {
        self.add(run, format_args!("chain start {}", event.inputs));
    }

    fn on_chain_end(&self, event: &ChainEnd<'_>, run: &Run<'_>) {
        self.add(run, format_args!("chain end {}", event.outputs));
    }

    fn on_chain_error(&self, event: &ChainError<'_>, run: &Run<'_>) {
        self.add(run, format_args!("chain error {:?}", event.error.kind));
    }

    fn on_tool_start(&self, event: &ToolStart<'_>, run: &Run<'_>) {
        let (input, inputs, id) = (event.input, event.inputs, event.tool_call_id);
        self.add(run, format_args!("tool start {input:?} {inputs:?} {id:?}"));
    }

    fn on_tool_end(&self, event: &ToolEnd<'_>, run: &Run<'_>) {
        self.add(
            run,
            format_args!("tool end {} {:?}", event.output, event.tool_call_id),
        );
    }

    fn on_tool_error(&self, event: &ToolError<'_>, run: &Run<'_>) {
        let (error, id) = (event.error, event.tool_call_id);
        self.add(
            run,
            format_args!("tool error {:?} {:?} {id:?}", error.kind, error.message),
        );
    }

    fn on_agent_action(&self, event: &AgentAction<'_>, run: &Run<'_>) {
        self.add(run, format_args!("agent action {:?}", event.action.tool));
    }

    fn on_agent_finish(&self, event: &AgentFinish<'_>, run: &Run<'_>) {
        self.add(
            run,
            format_args!("agent finish {}", event.finish.return_values),
        );
    }

    fn on_retriever_start(&self, event: &RetrieverStart<'_>, run: &Run<'_>) {
        self.add(run, format_args!("retriever start {:?}", event.query));
    }

    fn on_retriever_end(&self, event: &RetrieverEnd<'_>, run: &Run<'_>) {
        self.add(run, format_args!("retriever end {}", event.documents.len()));
    }

    fn on_retriever_error(&self, event: &RetrieverError<'_>, run: &Run<'_>) {
        self.add(run, format_args!("retriever error {:?}", event.error.kind));
    }

    fn on_text(&self, event: &Text<'_>, run: &Run<'_>) {
        self.add(run, format_args!("text {:?}", event.text));
    }

    fn on_retry(&self, event: &Retry<'_>, run: &Run<'_>) {
        self.add(run, format_args!("retry {}", event.retry_state.attempt));
    }

    fn on_custom_event(&self, event: &CustomEvent<'_>, run: &Run<'_>) {
        self.add(run, format_args!("custom {:?} {}", event.name, event.data));
    }
}

/// The guides whose code is compiled and run.
#[cfg(doctest)]
mod guides {
    #[doc = include_str!("../docs/embedding.md")]
    mod embedding {}

    #[doc = include_str!("../docs/shutdown.md")]
    mod shutdown {}
}
