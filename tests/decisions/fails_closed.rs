//! Whatever goes wrong with a question is a stop, and nobody is asked or shown what they should not.

use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use callbacks::events::{AnyEvent, Events, ToolRequest, owned};
use callbacks::{
    Callbacks, ChainRun, Decision, EmitError, EventSet, LlmDecision, Message, ToolDecision,
    callback_handler, handler,
};
use callbacks_tests::{CHAIN, Log, Logger, MODEL, TOOL, logger};
use futures_util::FutureExt;
use serde_json::Value;
use tokio::sync::Notify;

use super::LONG;

mod subscriber {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Mutex};
    use std::thread;

    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};
    use tracing_core::span::Current;

    /// Panics where a span is entered on a lane.
    #[derive(Default)]
    pub(super) struct Panics {
        span: Mutex<Option<&'static Metadata<'static>>>,
        pub(super) has_panicked: Arc<AtomicBool>,
    }

    impl Subscriber for Panics {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.is_span()
        }
        fn new_span(&self, attributes: &Attributes<'_>) -> Id {
            *self.span.lock().unwrap() = Some(attributes.metadata());
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, _: &Event<'_>) {}
        fn enter(&self, _: &Id) {
            if thread::current().name() == Some("callbacks-lane") {
                self.has_panicked.store(true, Ordering::SeqCst);
                panic!("a bug in a subscriber");
            }
        }
        fn exit(&self, _: &Id) {}
        fn current_span(&self) -> Current {
            match *self.span.lock().unwrap() {
                Some(metadata) => Current::new(Id::from_u64(1), metadata),
                None => Current::none(),
            }
        }
    }
}

/// For a bug in a `tracing` subscriber no approver is passed over.
#[test]
fn a_handler_is_asked_whatever_a_subscriber_does() {
    let log = Log::new();
    let callbacks = Callbacks::new().with(Stops(log.clone()));
    let panics = subscriber::Panics::default();
    let has_panicked = panics.has_panicked.clone();
    let started = tracing::subscriber::with_default(panics, || {
        let _span = tracing::info_span!("request").entered();
        futures_executor::block_on(async {
            callbacks.tool_start(&TOOL, "rm -rf /").await.map(drop)
        })
    });
    assert!(
        matches!(&started, Err(EmitError::Stopped { reason }) if reason == "no"),
        "{started:?}"
    );
    assert_eq!(log.lines(), ["asked"]);
    assert!(has_panicked.load(Ordering::SeqCst));
}

/// Stops all tools and models.
struct Stops(Log);

#[callback_handler]
impl Stops {
    fn on_tool_request(&self) -> ToolDecision {
        self.0.add("asked");
        Decision::Stop("no".to_owned())
    }
}

/// `Callbacks::ask` hears the handler, the guard of a chain that nobody hears does not.
#[tokio::test]
async fn a_run_that_nobody_hears_asks() {
    let owned = owned::AnyEvent::ToolRequest(owned::ToolRequest {
        serialized: None,
        input: "rm -rf /".to_owned(),
        inputs: None,
        tool_call_id: None,
    });
    let AnyEvent::ToolRequest(request) = Events::view(&owned) else {
        unreachable!()
    };
    let callbacks = Callbacks::new().with(Stops(Log::new()));
    let no = Decision::Stop("no".to_owned());
    assert_eq!(callbacks.ask(request).await.unwrap(), no);
    let chain = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
    assert!(chain.wants::<ToolRequest<'_>>());
    assert_eq!(chain.ask(request).await.unwrap(), no);
}

/// The redactor is registered first, and nobody has seen the address but who was asked. Yet the start
/// of the run that is stopped shows it, for the second conversation was never asked about.
#[tokio::test]
async fn a_batch_that_is_stopped_shows_nothing_that_was_not_asked_about() {
    struct Redact;

    #[callback_handler]
    impl Redact {
        fn on_llm_request(&self, messages: &[Message]) -> LlmDecision {
            let redact =
                |message: &Message| Message::human(message.text().replace("a@b.c", "<mail>"));
            Decision::Rewrite(messages.iter().map(redact).collect())
        }
    }

    struct Stops;

    #[callback_handler]
    impl Stops {
        fn on_llm_request(&self, messages: &[Message]) -> LlmDecision {
            match &*messages[0].text() {
                "a bomb" => Decision::Stop("no bombs".to_owned()),
                _ => Decision::Continue,
            }
        }
    }

    for text in [false, true] {
        let (callbacks, log) = logger();
        let callbacks = callbacks.with(Redact).with(Stops);
        let stopped = if text {
            let prompts = ["a bomb".to_owned(), "mail a@b.c".to_owned()];
            callbacks.llm_start(&MODEL, &prompts).ask().await.map(drop)
        } else {
            let batch = [
                vec![Message::human("a bomb")],
                vec![Message::human("mail a@b.c")],
            ];
            callbacks
                .chat_model_start(&MODEL, &batch[..])
                .ask()
                .await
                .map(drop)
        };
        assert!(
            matches!(stopped, Err(EmitError::Stopped { .. })),
            "{stopped:?}"
        );
        let seen = log.lines().concat();
        assert!(!seen.contains("a@b.c"), "{seen}");
    }
}

/// An error with itself as its source, and one that emits where it is shown.
#[derive(Clone)]
enum Odd {
    Circular,
    Emits(Arc<ChainRun>, Log),
}

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Emits(chain, log) = self {
            let emitted = chain.text("shown").now_or_never();
            log.add(format_args!("{:?}", emitted.map(|emitted| emitted.is_ok())));
        }
        f.write_str("it bites its tail")
    }
}

impl fmt::Debug for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Odd")
    }
}

impl Error for Odd {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        matches!(self, Self::Circular).then_some(self)
    }
}

/// Raises it as an answer, and at a start.
struct Raises(Odd);

#[callback_handler]
impl Raises {
    fn on_tool_request(&self) -> Result<ToolDecision, Odd> {
        Err(self.0.clone())
    }

    fn on_retriever_start(&self) -> Result<(), Odd> {
        Err(self.0.clone())
    }
}

#[tokio::test]
async fn a_reason_ends_even_where_sources_do_not() {
    let raises = handler(Raises(Odd::Circular)).named("odd");
    let callbacks = Callbacks::new().with(raises);
    let Err(EmitError::Stopped { reason }) = callbacks.tool_start(&TOOL, "x").await else {
        panic!("it started")
    };
    let start =
        "the callback handler `odd` failed in `on_tool_request`: it bites its tail: it bites";
    assert!(reason.starts_with(start), "{reason}");
    assert!(reason.len() < 10_000, "{}", reason.len());
}

/// What a handler's error emits where it is shown is put off, as it is inside the handler.
#[tokio::test]
async fn an_error_may_emit_where_it_is_shown() {
    struct Slow(Arc<Notify>);

    #[callback_handler]
    impl Slow {
        async fn on_text(&self) {
            self.0.notified().await;
        }
    }

    let (log, go) = (Log::new(), Arc::new(Notify::new()));
    let callbacks = Callbacks::new()
        .with(Slow(go.clone()))
        .with(Logger::default());
    let chain = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
    let odd = Odd::Emits(Arc::new(chain), log.clone());
    let callbacks = callbacks.with(handler(Raises(odd)).raise_errors());
    let stopped = callbacks.tool_start(&TOOL, "x").await;
    assert!(
        matches!(stopped, Err(EmitError::Stopped { .. })),
        "{stopped:?}"
    );
    let raised = callbacks.retriever_start(&TOOL, "x").await;
    assert!(
        matches!(raised, Err(EmitError::Raised { .. })),
        "{raised:?}"
    );
    go.notify_one();
    assert_eq!(log.lines(), ["Some(true)"; 2]);
}

/// A question that nobody waits for any more is put to the handler all the same: a person is asked
/// about a tool that was stopped long ago, a budget is spent for nothing.
#[tokio::test]
async fn a_question_that_was_given_up_is_not_asked() {
    struct Person(Log, Mutex<mpsc::Receiver<()>>);

    #[callback_handler]
    impl Person {
        fn on_tool_request(&self, input: &str) -> ToolDecision {
            self.0.add(input);
            if input == "first" {
                let _ = self.1.lock().unwrap().recv_timeout(LONG);
            }
            Decision::Continue
        }
    }

    let (open, gate) = mpsc::channel();
    let log = Log::new();
    let person = handler(Person(log.clone(), Mutex::new(gate))).named("person");
    let callbacks = Callbacks::new().with(person.timeout(Duration::from_millis(20)));
    let chain = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
    for input in ["first", "second"] {
        let started = chain.callbacks().tool_start(&TOOL, input).await;
        assert!(
            matches!(started, Err(EmitError::Stopped { .. })),
            "{started:?}"
        );
    }
    let third = chain.callbacks().tool_start(&TOOL, "third").into_future();
    assert!(third.now_or_never().is_none(), "its lane is busy");
    open.send(()).unwrap();
    let report = callbacks.flush(LONG).await;
    assert_eq!(
        log.lines(),
        ["first"],
        "the others were stopped before they were asked about"
    );
    let person = report.handler("person").unwrap();
    let counts = (person.timed_out, person.dropped, person.delivered);
    assert_eq!((counts, person.pending), ((2, 1, 0), 0), "{report:?}");
}

mod set {
    use std::ops::ControlFlow;

    #[callbacks::callback_events]
    pub(crate) mod odd {
        #[event(reply = super::Reply)]
        pub(crate) struct Question<'a> {
            pub what: &'a str,
        }
    }

    #[derive(Debug, PartialEq)]
    pub(crate) enum Reply {
        Yes,
        No(String),
        Panics,
    }

    impl callbacks::Reply<odd::owned::Question> for Reply {
        fn go_on() -> Self {
            Self::Yes
        }
        fn stop(reason: &str) -> Self {
            Self::No(reason.to_owned())
        }
        fn settle(self, _: &mut odd::owned::Question) -> ControlFlow<Self> {
            match self {
                Self::Yes => ControlFlow::Continue(()),
                Self::Panics => panic!("in settle"),
                no @ Self::No(_) => ControlFlow::Break(no),
            }
        }
    }
}

struct Asked;

#[callback_handler(events = set::odd)]
impl Asked {
    fn on_question(&self, what: &str) -> set::Reply {
        match what {
            "panics" => set::Reply::Panics,
            "no" => set::Reply::No("no".to_owned()),
            _ => set::Reply::Yes,
        }
    }
}

/// "A decision event fails closed: an error, a panic or a timeout there is a stop." A panic in `settle`
/// comes out of `ask`.
#[tokio::test]
async fn a_panic_in_settle_is_a_stop() {
    let callbacks = Callbacks::new().with(Asked);
    let question = set::odd::Question { what: "panics" };
    let reason = "the answer panicked where it was to settle the matter";
    let is_no = |reply| matches!(reply, Ok(set::Reply::No(no)) if no.ends_with(reason));
    for _ in 0..2 {
        assert!(is_no(callbacks.ask(question).await));
        assert!(is_no(callbacks.blocking().ask(question)));
    }
    let yes = callbacks.ask(set::odd::Question { what: "" }).await;
    assert_eq!(yes.unwrap(), set::Reply::Yes);
}

/// What an error cannot show does no harm.
#[tokio::test]
async fn an_error_that_cannot_be_shown_is_a_stop() {
    struct Nasty(Arc<AtomicBool>);

    impl std::fmt::Debug for Nasty {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("Debug")
        }
    }
    impl std::fmt::Display for Nasty {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("Display")
        }
    }
    impl std::error::Error for Nasty {}
    impl Drop for Nasty {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
            panic!("Drop")
        }
    }

    struct Fails(Arc<AtomicBool>);

    #[callback_handler]
    impl Fails {
        fn on_tool_request(&self) -> Result<ToolDecision, Nasty> {
            Err(Nasty(self.0.clone()))
        }
    }

    let dropped = Arc::new(AtomicBool::new(false));
    let callbacks = Callbacks::new().with(Fails(dropped.clone()));
    let stopped = callbacks.tool_start(&TOOL, "x").await.map(drop);
    assert!(
        matches!(stopped, Err(EmitError::Stopped { .. })),
        "{stopped:?}"
    );
    let stopped = callbacks
        .blocking()
        .tool_start(&TOOL, "x")
        .start()
        .map(drop);
    assert!(
        matches!(stopped, Err(EmitError::Stopped { .. })),
        "{stopped:?}"
    );
    assert!(dropped.load(Ordering::Relaxed));
}

/// Why it failed is at the end of the chain of sources, and not in the reason.
#[tokio::test]
async fn the_reason_of_a_stop_has_the_root_cause() {
    #[derive(Debug, thiserror::Error)]
    #[error("cannot ask the approver")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("cannot connect")]
    struct Inner(#[source] std::io::Error);

    struct Fails;

    #[callback_handler]
    impl Fails {
        fn on_tool_request(&self) -> Result<ToolDecision, Outer> {
            Err(Outer(Inner(std::io::Error::other("certificate expired"))))
        }
    }

    let callbacks = Callbacks::new().with(Fails);
    let stopped = callbacks.tool_start(&TOOL, "x").await.map(drop);
    let shown = stopped.unwrap_err().to_string();
    assert!(shown.contains("certificate expired"), "{shown}");
}
