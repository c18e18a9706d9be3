//! Rules 6 and 7 as a table: however a run goes, whatever it is, however its handlers are called
//! and whatever runs it, a handler that was entered with the start sees exactly one terminal event,
//! and children lie inside their parents.
//!
//! Cells that cannot exist: a start or an end that only inline or background handlers hear is over
//! when it is first polled, so it cannot be cancelled in between.

use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use callbacks::{
    Callbacks, ChainRun, EmitError, LlmResult, LlmRun, Message, Queue, RetrieverRun, Run, RunError,
    Serialized, ToolRun, callback_handler, handler,
};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

static IT: Serialized = Serialized::new("it");

/// How the run goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    End,
    Error,
    FinishOk,
    FinishErr,
    QuestionMark,
    Drop,
    Timeout,
    Abort,
    SelectLoser,
    PanicInBody,
    CancelStart,
    CancelEnd,
    RuntimeDropped,
}

const WAYS: [Way; 13] = [
    Way::End,
    Way::Error,
    Way::FinishOk,
    Way::FinishErr,
    Way::QuestionMark,
    Way::Drop,
    Way::Timeout,
    Way::Abort,
    Way::SelectLoser,
    Way::PanicInBody,
    Way::CancelStart,
    Way::CancelEnd,
    Way::RuntimeDropped,
];

impl Way {
    /// What closes the run, where it is not the error that a dropped guard leaves.
    fn terminal(self) -> &'static str {
        match self {
            Self::End | Self::FinishOk | Self::CancelEnd => "end",
            Self::Error | Self::FinishErr => "Failed",
            Self::PanicInBody => "Panicked",
            _ => "Dropped",
        }
    }
}

/// What runs.
#[derive(Clone, Copy, Debug)]
enum What {
    Llm,
    ChatModel,
    Chain,
    Tool,
    Retriever,
}

const WHATS: [What; 5] = [
    What::Llm,
    What::ChatModel,
    What::Chain,
    What::Tool,
    What::Retriever,
];

enum AnyRun {
    Llm(LlmRun),
    Chain(ChainRun),
    Tool(ToolRun),
    Retriever(RetrieverRun),
}

impl AnyRun {
    async fn start(what: What, callbacks: &Callbacks) -> Result<Self, EmitError> {
        Ok(match what {
            What::Llm => Self::Llm(callbacks.llm_start(&IT, vec!["Why?".to_owned()]).await?),
            What::ChatModel => {
                let messages = vec![Message::human("Why?")];
                Self::Llm(callbacks.chat_model_start(&IT, messages).await?)
            }
            What::Chain => Self::Chain(callbacks.chain_start(&IT, Value::Null).await?),
            What::Tool => Self::Tool(callbacks.tool_start(&IT, "1 + 1").await?),
            What::Retriever => Self::Retriever(callbacks.retriever_start(&IT, "why").await?),
        })
    }

    async fn finish(self, result: Result<(), io::Error>) -> Result<(), EmitError> {
        match self {
            Self::Llm(run) => run.finish(result.map(|()| LlmResult::default())).await,
            Self::Chain(run) => run.finish(result.map(|()| Value::Null)).await,
            Self::Tool(run) => run.finish(result.map(|()| Value::Null)).await,
            Self::Retriever(run) => run.finish(result.map(|()| Vec::new())).await,
        }
    }

    async fn end(self) -> Result<(), EmitError> {
        match self {
            Self::Llm(run) => run.end(LlmResult::default()).await,
            Self::Chain(run) => run.end(Value::Null).await,
            Self::Tool(run) => run.end(Value::Null).await,
            Self::Retriever(run) => run.end(Vec::new()).await,
        }
    }

    async fn error(self, error: io::Error) -> Result<(), EmitError> {
        match self {
            Self::Llm(run) => run.error(error).await,
            Self::Chain(run) => run.error(error).await,
            Self::Tool(run) => run.error(error).await,
            Self::Retriever(run) => run.error(error).await,
        }
    }
}

/// The starts and terminal events that a handler was entered with, by the name of the run.
#[derive(Default)]
struct Seen(Mutex<Vec<(String, String)>>);

impl Seen {
    fn add(&self, run: &Run<'_>, what: &str) {
        let line = (run.name().to_owned(), what.to_owned());
        self.0.lock().unwrap().push(line);
    }

    fn error(&self, run: &Run<'_>, error: &RunError) {
        self.add(run, &format!("{:?}", error.kind));
    }

    fn all(&self) -> Vec<(String, String)> {
        self.0.lock().unwrap().clone()
    }
}

/// Handlers with a method for every start and terminal event: a plain one, an exclusive one, and one
/// that suspends in each.
macro_rules! handlers {
    (
        starts: $($start:ident)*;
        ends: $($end:ident)*;
        errors: $($error:ident)*;
    ) => {
        struct Plain(Arc<Seen>);

        #[callback_handler]
        impl Plain {
            $(fn $start(&self, run: &Run<'_>) {
                self.0.add(run, "start");
            })*
            $(fn $end(&self, run: &Run<'_>) {
                self.0.add(run, "end");
            })*
            $(fn $error(&self, error: &RunError, run: &Run<'_>) {
                self.0.error(run, error);
            })*
        }

        struct Mutable(Arc<Seen>);

        #[callback_handler]
        impl Mutable {
            $(fn $start(&mut self, run: &Run<'_>) {
                self.0.add(run, "start");
            })*
            $(fn $end(&mut self, run: &Run<'_>) {
                self.0.add(run, "end");
            })*
            $(fn $error(&mut self, error: &RunError, run: &Run<'_>) {
                self.0.error(run, error);
            })*
        }

        struct Async(Arc<Seen>);

        #[callback_handler]
        impl Async {
            $(async fn $start(&self, run: &Run<'_>) {
                self.0.add(run, "start");
                tokio::task::yield_now().await;
            })*
            $(async fn $end(&self, run: &Run<'_>) {
                self.0.add(run, "end");
                tokio::task::yield_now().await;
            })*
            $(async fn $error(&self, error: &RunError, run: &Run<'_>) {
                self.0.error(run, error);
                tokio::task::yield_now().await;
            })*
        }
    };
}

handlers! {
    starts: on_llm_start on_chat_model_start on_chain_start on_tool_start on_retriever_start;
    ends: on_llm_end on_chain_end on_tool_end on_retriever_end;
    errors: on_llm_error on_chain_error on_tool_error on_retriever_error;
}

/// How the handlers are called: each mode alone, and all together.
const MODES: [&[&str]; 8] = [
    &["lane"],
    &["exclusive"],
    &["inline"],
    &["async"],
    // not reached
    &["async with a timeout"],
    &["background lane"],
    &["background async"],
    &[
        "lane",
        "exclusive",
        "inline",
        "async",
        "background lane",
        "background async",
    ],
];

/// Whether an emission to such handlers is over when it is first polled.
fn is_over_at_once(modes: &[&str]) -> bool {
    let at_once = |mode: &&str| mode.starts_with("inline") || mode.starts_with("background");
    modes.iter().all(at_once)
}

fn listening(modes: &[&str]) -> (Callbacks, Vec<Arc<Seen>>) {
    let mut callbacks = Callbacks::new();
    let mut all = Vec::new();
    for mode in modes {
        let seen = Arc::new(Seen::default());
        callbacks = match *mode {
            "lane" => callbacks.with(Plain(seen.clone())),
            "exclusive" => callbacks.with(Mutable(seen.clone())),
            "inline" => callbacks.with(handler(Plain(seen.clone())).inline()),
            "async" => callbacks.with(Async(seen.clone())),
            // A queue that is full, as good as always.
            "background lane" => {
                callbacks.with(handler(Plain(seen.clone())).background(Queue::bounded(1)))
            }
            "background async" => {
                callbacks.with(handler(Async(seen.clone())).background(Queue::bounded(1)))
            }
            _ => {
                let timeout = Duration::from_secs(60);
                callbacks.with(handler(Async(seen.clone())).timeout(timeout))
            }
        };
        all.push(seen);
    }
    (callbacks, all)
}

fn runtime(flavor: &str) -> Runtime {
    let mut builder = match flavor {
        "current thread" => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder.worker_threads(2).enable_all().build().unwrap()
}

/// Polls it once, then drops it. (A lane may be so quick that it is over by then.)
async fn cancel<F: Future>(future: F) {
    let mut future = Box::pin(future);
    poll_fn(|cx| {
        let _ = future.as_mut().poll(cx);
        Poll::Ready(())
    })
    .await;
}

/// Runs `what` in `root`, and lets it go the `way`. `started` is told when it is on its way.
async fn go(way: Way, what: What, root: &ChainRun, started: &Notify) -> Result<(), EmitError> {
    let inside = root.callbacks();
    if way == Way::CancelStart {
        cancel(AnyRun::start(what, inside)).await;
        return Ok(());
    }
    let run = AnyRun::start(what, inside).await?;
    started.notify_one();
    match way {
        Way::End => run.end().await,
        Way::Error => run.error(io::Error::other("error")).await,
        Way::FinishOk => run.finish(Ok(())).await,
        Way::FinishErr => run.finish(Err(io::Error::other("error"))).await,
        Way::QuestionMark => {
            let _run = run;
            Err(EmitError::RunClosed)
        }
        Way::PanicInBody => {
            let _run = run;
            panic!("the body panics");
        }
        Way::CancelEnd => {
            cancel(run.end()).await;
            Ok(())
        }
        Way::Drop => {
            drop(run);
            Ok(())
        }
        _ => {
            let _run = run;
            std::future::pending().await
        }
    }
}

/// Runs one cell of the table, and returns what each handler saw.
fn cell(way: Way, what: What, modes: &[&str], flavor: &str) -> Vec<Arc<Seen>> {
    let (callbacks, all) = listening(modes);
    let runtime = runtime(flavor);
    let started = Arc::new(Notify::new());
    let told = started.clone();
    let body = async move {
        let root = callbacks.chain_start(&IT, Value::Null).name("root").await;
        let root = root.unwrap();
        match way {
            Way::Timeout => {
                let going = go(way, what, &root, &told);
                let timeout = tokio::time::timeout(Duration::from_millis(1), going).await;
                assert!(timeout.is_err());
            }
            Way::SelectLoser => tokio::select! {
                _ = go(way, what, &root, &told) => unreachable!("it is pending"),
                () = told.notified() => {}
            },
            _ => drop(go(way, what, &root, &told).await),
        }
        root.end(Value::Null).await.unwrap();
    };
    match way {
        Way::RuntimeDropped => {
            runtime.spawn(body);
            runtime.block_on(started.notified());
            drop(runtime);
        }
        Way::Abort => runtime.block_on(async {
            let task = tokio::spawn(body);
            started.notified().await;
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
            settled(&all).await;
        }),
        _ => runtime.block_on(async {
            let over = tokio::spawn(body).await;
            assert_eq!(over.is_err(), way == Way::PanicInBody);
            settled(&all).await;
        }),
    }
    let waiting = Builder::new_current_thread().enable_all().build().unwrap();
    waiting.block_on(settled(&all));
    all
}

/// Waits until the handlers are gone: then nothing more can come.
async fn settled(all: &[Arc<Seen>]) {
    let gone = async {
        while all.iter().any(|seen| Arc::strong_count(seen) > 1) {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), gone).await;
    let show = || all.iter().map(|seen| seen.all()).collect::<Vec<_>>();
    waited.unwrap_or_else(|_| panic!("still open: {:?}", show()));
}

#[test]
fn every_start_has_exactly_one_terminal_event() {
    let mut cells = 0;
    for way in WAYS {
        for what in WHATS {
            for modes in MODES {
                let cancels = [Way::CancelStart, Way::CancelEnd].contains(&way);
                if cancels && is_over_at_once(modes) {
                    continue;
                }
                for flavor in ["current thread", "multi thread"] {
                    check(way, what, modes, flavor);
                    cells += 1;
                }
            }
        }
    }
    assert_eq!(cells, 13 * 5 * 8 * 2 - 2 * 5 * 3 * 2);
}

fn check(way: Way, what: What, modes: &[&str], flavor: &str) {
    let all = cell(way, what, modes, flavor);
    // the root goes down with its task, too
    let root = match way {
        Way::Abort | Way::RuntimeDropped => "Dropped",
        Way::PanicInBody => "Panicked",
        _ => "end",
    };
    let expected = [
        ("root", "start"),
        ("it", "start"),
        ("it", way.terminal()),
        ("root", root),
    ];
    for (seen, mode) in all.iter().zip(modes) {
        let seen = seen.all();
        let seen = seen.iter().map(|(run, what)| (&**run, &**what));
        let seen = seen.collect::<Vec<_>>();
        assert_eq!(seen, expected, "{way:?} {what:?} {modes:?} {mode} {flavor}");
    }
}
