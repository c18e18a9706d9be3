//! Runs as spans of `tracing`.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use callbacks::events::{ToolEnd, ToolError};
use callbacks::handlers::Spans;
use callbacks::{
    Callbacks, Event as _, Generation, Interests, LlmOutput, LlmResult, Message, ModelParams,
    RunError, RunId, RunKind, TokenUsage, handler,
};
use callbacks_tests::{CHAIN, MODEL, TOOL};
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Instrument as _, Metadata, Span, Subscriber};
use tracing_core::span::Current;
use tracing_core::subscriber::Interest;

thread_local! {
    static ENTERED: RefCell<Vec<Id>> = const { RefCell::new(Vec::new()) };
    /// What this thread's filter does not want.
    static UNWANTED: Cell<&'static str> = const { Cell::new("") };
}

#[derive(Clone, Debug)]
struct Seen {
    metadata: &'static Metadata<'static>,
    parent: Option<u64>,
    fields: String,
    events: String,
    handles: usize,
    entered: bool,
}

/// All spans that there ever were, by their ids.
#[derive(Default)]
struct Collector(Mutex<HashMap<u64, Seen>>);

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, "{}={value:?};", field.name()).unwrap();
    }
}

impl Collector {
    fn with<T>(&self, id: &Id, f: impl FnOnce(&mut Seen) -> T) -> T {
        f(self.0.lock().unwrap().get_mut(&id.into_u64()).unwrap())
    }

    fn of_run(&self, run: RunId) -> (u64, Seen) {
        let needle = format!("run.id={run};");
        let spans = self.0.lock().unwrap();
        let mut spans = spans.iter();
        let (id, seen) = spans
            .find(|(_, seen)| seen.fields.contains(&needle))
            .unwrap();
        (*id, seen.clone())
    }
}

impl Subscriber for &'static Collector {
    /// So that each span is asked about, and not each place in the code once.
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.name() != UNWANTED.get()
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut seen = Seen {
            metadata: attributes.metadata(),
            parent: attributes.parent().map(Id::into_u64),
            fields: String::new(),
            events: String::new(),
            handles: 1,
            entered: false,
        };
        attributes.record(&mut Fields(&mut seen.fields));
        let mut spans = self.0.lock().unwrap();
        let id = spans.len() as u64 + 1;
        spans.insert(id, seen);
        Id::from_u64(id)
    }

    fn record(&self, id: &Id, record: &Record<'_>) {
        self.with(id, |seen| record.record(&mut Fields(&mut seen.fields)));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        if let Some(id) = event.parent() {
            self.with(id, |seen| {
                write!(seen.events, "{} ", event.metadata().level()).unwrap();
                event.record(&mut Fields(&mut seen.events));
            });
        }
    }

    fn enter(&self, id: &Id) {
        self.with(id, |seen| seen.entered = true);
        ENTERED.with_borrow_mut(|ids| ids.push(id.clone()));
    }

    fn exit(&self, _: &Id) {
        let _ = ENTERED.with_borrow_mut(Vec::pop);
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.with(id, |seen| seen.handles += 1);
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        self.with(&id, |seen| {
            seen.handles -= 1;
            seen.handles == 0
        })
    }

    fn current_span(&self) -> Current {
        let id = ENTERED.with_borrow(|ids| ids.last().cloned());
        id.map_or_else(Current::none, |id| {
            let metadata = self.with(&id, |seen| seen.metadata);
            Current::new(id, metadata)
        })
    }
}

/// Lanes have threads of their own, so the subscriber is that of the process.
fn collector() -> &'static Collector {
    static COLLECTOR: OnceLock<&'static Collector> = OnceLock::new();
    COLLECTOR.get_or_init(|| {
        let collector: &'static Collector = Box::leak(Box::default());
        tracing::subscriber::set_global_default(collector).unwrap();
        collector
    })
}

fn inline() -> Callbacks {
    Callbacks::new().with(handler(Spans::new()).inline())
}

fn answer() -> LlmResult {
    let tokens = TokenUsage::new()
        .with_input_tokens(8)
        .with_output_tokens(2)
        .with_cache_read(5)
        .with_reasoning(1);
    let output = LlmOutput::new().with_token_usage(tokens);
    let choice = Generation::new("secret").with_finish_reason("stop");
    LlmResult::new(vec![vec![choice]]).with_llm_output(output.with_model_name("model-1"))
}

#[track_caller]
fn assert_fields(seen: &Seen, fields: &[&str]) {
    for field in fields {
        assert!(seen.fields.contains(field), "{field}: {seen:?}");
    }
}

async fn nested(callbacks: &Callbacks) {
    let collector = collector();
    let outer = tracing::info_span!("request");
    let inputs = json!("secret");
    let chain = async { callbacks.chain_start(&CHAIN, &inputs).await };
    let chain = chain.instrument(outer.clone()).await.unwrap();
    let (chain_span, seen) = collector.of_run(chain.id());
    assert_eq!(seen.parent, outer.id().map(|id| id.into_u64()));
    assert_fields(
        &seen,
        &[
            "otel.name=\"Chain\";",
            "run.name=\"Chain\";",
            "run.kind=\"chain\";",
            "tags=[\"prod\"];",
        ],
    );

    let params = ModelParams::new().with_model("model");
    let prompts = || vec!["secret".to_owned()];
    let start = chain.callbacks().llm_start(&MODEL, prompts);
    let model = start.params(&params).await.unwrap();
    let id = model.id();
    assert_eq!(collector.of_run(id).1.handles, 1);
    model.end(&answer()).await.unwrap();
    let (_, seen) = collector.of_run(id);
    assert_eq!((seen.parent, seen.handles), (Some(chain_span), 0));
    assert_fields(
        &seen,
        &[
            "model=\"model\";",
            "response.model=\"model-1\";",
            "response.finish_reason=\"stop\";",
            "usage.input_tokens=8;",
            "usage.output_tokens=2;",
            "usage.cached_tokens=5;",
            "usage.reasoning_tokens=1;",
        ],
    );
    assert!(!seen.fields.contains("secret"), "{seen:?}");
    assert!(!seen.entered && seen.events.is_empty(), "{seen:?}");

    let id = chain.id();
    chain.end(&json!("secret")).await.unwrap();
    let (_, seen) = collector.of_run(id);
    assert_eq!((seen.handles, seen.entered), (0, false));
    assert!(!seen.fields.contains("secret"), "{seen:?}");
}

#[tokio::test]
async fn spans_are_nested_as_runs_are_inline() {
    nested(&inline().tag("prod")).await;
}

#[tokio::test]
async fn spans_are_nested_as_runs_are_on_lanes() {
    nested(&Callbacks::new().tag("prod").with(Spans::new())).await;
}

#[tokio::test]
async fn spans_are_named_by_kind() {
    let (collector, callbacks) = (collector(), inline());
    let name = |id| collector.of_run(id).1.metadata.name();
    let inputs = json!(null);
    for (kind, expected) in [
        (RunKind::Chain, "chain"),
        (RunKind::Agent, "agent"),
        (RunKind::Custom("rerank"), "run"),
    ] {
        let run = callbacks.chain_start(&CHAIN, &inputs).kind(kind);
        assert_eq!(name(run.await.unwrap().id()), expected);
    }
    let text = callbacks.llm_start(&MODEL, Vec::new).await.unwrap();
    let chat = callbacks
        .chat_model_start(&MODEL, &[Message::human("hi")])
        .await
        .unwrap();
    let tool = callbacks.tool_start(&TOOL, "tea").await.unwrap();
    let retriever = callbacks.retriever_start(&TOOL, "tea").await.unwrap();
    let names = [text.id(), chat.id(), tool.id(), retriever.id()].map(name);
    assert_eq!(names, ["llm", "llm", "tool", "retriever"]);
}

#[tokio::test]
async fn errors_are_events_in_the_span() {
    let (collector, callbacks) = (collector(), inline());
    let tool = callbacks.tool_start(&TOOL, "tea").await.unwrap();
    let id = tool.id();
    tool.error(RunError::new("exit 1")).await.unwrap();
    let (_, seen) = collector.of_run(id);
    assert!(seen.events.starts_with("ERROR "), "{seen:?}");
    assert!(seen.events.contains("message=exit 1;"), "{seen:?}");
    assert!(seen.events.contains("kind=\"failed\";"), "{seen:?}");
    assert!(seen.events.contains("type_name="), "{seen:?}");
    assert_eq!(seen.handles, 0);
    // What had arrived of an answer is told, too.
    let start = callbacks.llm_start(&MODEL, || vec!["Why?".to_owned()]);
    let model = start.await.unwrap();
    let id = model.id();
    let error = model.error(RunError::new("cut off")).partial(answer());
    error.await.unwrap();
    let (_, seen) = collector.of_run(id);
    assert_fields(&seen, &["usage.output_tokens=2;"]);
    assert!(seen.events.contains("cut off"), "{seen:?}");
}

#[tokio::test]
async fn a_run_that_is_dropped_leaks_no_span() {
    let (collector, callbacks) = (collector(), inline());
    let inputs = json!(null);
    let chain = callbacks.chain_start(&CHAIN, &inputs).await.unwrap();
    let tool = chain.callbacks().tool_start(&TOOL, "tea").await.unwrap();
    let ids = [chain.id(), tool.id()];
    drop(chain);
    drop(tool);
    let report = callbacks.flush(Duration::from_secs(60)).await;
    assert!(report.is_complete(), "{report:?}");
    for (id, kind) in ids.into_iter().zip(["dropped", "abandoned"]) {
        let (_, seen) = collector.of_run(id);
        assert_eq!(seen.handles, 0);
        assert!(seen.events.contains(kind), "{seen:?}");
    }
}

#[tokio::test]
async fn content_is_there_where_it_is_asked_for() {
    let collector = collector();
    let spans = Spans::new().content(true);
    let callbacks = Callbacks::new().with(handler(spans).inline());
    let tool = callbacks.tool_start(&TOOL, "tea").await.unwrap();
    let id = tool.id();
    tool.end(&json!("3 kinds")).await.unwrap();
    let (_, seen) = collector.of_run(id);
    assert_fields(&seen, &["input=\"tea\";", "output=\"3 kinds\";"]);
}

#[tokio::test]
async fn a_run_that_was_not_heard_is_passed_over() {
    let collector = collector();
    let spans = handler(Spans::new()).inline().except(Interests::TOOL);
    let callbacks = Callbacks::new().with(spans);
    let inputs = json!(null);
    let chain = callbacks.chain_start(&CHAIN, &inputs).await.unwrap();
    let tool = chain.callbacks().tool_start(&TOOL, "tea").await.unwrap();
    let inner = tool.callbacks().chain_start(&CHAIN, &inputs).await.unwrap();
    let (chain_span, _) = collector.of_run(chain.id());
    assert_eq!(collector.of_run(inner.id()).1.parent, Some(chain_span));
}

/// Whether its own end is heard or not.
#[tokio::test]
async fn the_span_of_a_run_is_over_when_the_run_around_it_is() {
    let collector = collector();
    let ends = Interests::of(&[ToolEnd::INDEX, ToolError::INDEX]);
    let spans = Arc::new(Spans::new());
    let callbacks = Callbacks::new().with(handler(spans.clone()).inline().except(ends));
    let inputs = json!(null);
    let chain = callbacks.chain_start(&CHAIN, &inputs).await.unwrap();
    let inner = chain.callbacks().chain_start(&CHAIN, &inputs);
    let inner = inner.await.unwrap();
    let tool = inner.callbacks().tool_start(&TOOL, "tea").await.unwrap();
    let ids = [tool.id(), inner.id(), chain.id()];
    let handles = || ids.map(|id| collector.of_run(id).1.handles > 0);
    tool.end(&inputs).await.unwrap();
    assert_eq!(handles(), [true; 3]);
    inner.end(&inputs).await.unwrap();
    assert_eq!(handles(), [false, false, true]);
    chain.end(&inputs).await.unwrap();
    assert_eq!(handles(), [false; 3]);
    assert!(format!("{spans:?}").contains("open: 0"), "{spans:?}");
}

/// The span of an outermost run that is over is not kept for ever, and that of an open run as long as that is.
#[tokio::test]
async fn runs_whose_end_is_not_heard_are_forgotten() {
    let collector = collector();
    let ends = Interests::of(&[ToolEnd::INDEX, ToolError::INDEX]);
    let callbacks = Callbacks::new().with(handler(Spans::new()).inline().except(ends));
    let open = callbacks.tool_start(&TOOL, "tea").await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..1_000 {
        let tool = callbacks.tool_start(&TOOL, "tea").await.unwrap();
        ids.push(tool.id());
        tool.end(&json!(null)).await.unwrap();
    }
    let is_kept = |id: &RunId| collector.of_run(*id).1.handles > 0;
    let kept = ids.iter().filter(|id| is_kept(id)).count();
    assert!(kept < 20, "{kept} spans");
    assert!(is_kept(&open.id()));
}

#[tokio::test]
async fn a_span_that_a_filter_does_not_want_is_passed_over() {
    let (collector, callbacks) = (collector(), inline());
    UNWANTED.set("tool");
    let inputs = json!(null);
    let chain = callbacks.chain_start(&CHAIN, &inputs).await.unwrap();
    let tool = chain.callbacks().tool_start(&TOOL, "tea").await.unwrap();
    let inner = tool.callbacks().tool_start(&TOOL, "tea").await.unwrap();
    let model = inner.callbacks().llm_start(&MODEL, Vec::new).await.unwrap();
    let (chain_span, _) = collector.of_run(chain.id());
    assert_eq!(collector.of_run(model.id()).1.parent, Some(chain_span));
    // Its error is said in the span around, too.
    tool.error(RunError::new("exit 1")).await.unwrap();
    let events = collector.of_run(chain.id()).1.events;
    assert!(events.contains("run.name=\"Tool\";"), "{events}");
    assert!(events.contains("exit 1"), "{events}");
}

/// There is no span around it either, so its error is said in that of the code that reports it.
#[tokio::test]
async fn an_error_that_has_no_span_is_said_in_that_of_the_code() {
    let (collector, callbacks) = (collector(), inline());
    UNWANTED.set("tool");
    let (starts, fails) = (tracing::info_span!("starts"), tracing::info_span!("fails"));
    let tool = async { callbacks.tool_start(&TOOL, "tea").await };
    let tool = tool.instrument(starts.clone()).await.unwrap();
    let error = async { tool.error(RunError::new("exit 1")).await };
    error.instrument(fails.clone()).await.unwrap();
    let events = |span: &Span| collector.with(&span.id().unwrap(), |seen| seen.events.clone());
    assert_eq!(events(&starts), "");
    let said = events(&fails);
    assert!(said.contains("run.name=\"Tool\";"), "{said}");
    assert!(said.contains("exit 1"), "{said}");
}

#[tokio::test]
async fn runs_that_share_an_id_have_a_span_each() {
    let (collector, callbacks) = (collector(), inline());
    let inputs = json!(null);
    let id = RunId::from(7);
    let outer = callbacks.chain_start(&CHAIN, &inputs).id(id);
    let outer = outer.await.unwrap();
    let tool = callbacks.tool_start(&TOOL, "tea").id(id).await.unwrap();
    let handles = || {
        let spans = collector.0.lock().unwrap();
        let needle = format!("run.id={id};");
        let of_id = spans.values().filter(|seen| seen.fields.contains(&needle));
        let mut handles = of_id
            .map(|seen| (seen.metadata.name(), seen.handles))
            .collect::<Vec<_>>();
        handles.sort_unstable();
        handles
    };
    assert_eq!(handles(), [("chain", 1), ("tool", 1)]);
    outer.end(&inputs).await.unwrap();
    assert_eq!(handles(), [("chain", 0), ("tool", 1)]);
    tool.end(&inputs).await.unwrap();
    assert_eq!(handles(), [("chain", 0), ("tool", 0)]);
}
