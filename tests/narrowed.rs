//! Handlers that are called for less than they have methods for, and whoever is left with nothing is told so.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, mpsc};

use callbacks::events::{
    AnyEvent, ChainEnd, ChainError, ChainStart, ChatModelStart, Events, LlmEnd, LlmNewToken,
    LlmStart, ToolEnd, ToolError, ToolStart,
};
use callbacks::handlers::{RunTree, RunTrees, Spans, Usage};
use callbacks::testing::Recorder;
use callbacks::{
    BoxFuture, Callbacks, Decision, Deliver, EmitError, Event, Handler, Interests, Message,
    Outcome, Queue, Registered, Run, RunError, RunInfo, ToolDecision, callback_events,
    callback_handler, handler, on,
};
use callbacks_tests::{CHAIN, LONG, Log, MODEL, TOOL, traced_meanwhile};
use serde_json::Value;
use tracing::Level;
use tracing::field::Field;

/// A warning or an error, as it is logged.
fn message(event: &tracing::Event<'_>) -> Option<String> {
    let level = *event.metadata().level();
    let mut line = format!("{level} ");
    event.record(&mut |field: &Field, value: &dyn Debug| {
        write!(line, "{}={value:?}", field.name()).unwrap();
    });
    (level <= Level::WARN).then_some(line)
}

/// What is logged meanwhile, on this thread.
fn logged(run: impl FnOnce()) -> Vec<String> {
    traced_meanwhile(message, run)
}

#[callback_events]
mod shop {
    pub(crate) struct Sold<'a> {
        pub item: &'a str,
    }

    pub(crate) struct Closed {}
}

struct Tools;

#[callback_handler]
impl Tools {
    fn on_tool_start(&self) {}

    async fn on_tool_end(&self) {}
}

struct Till;

#[callback_handler(events = crate::shop)]
impl Till {
    fn on_sold(&self) {}
}

struct Approver;

#[callback_handler]
impl Approver {
    fn on_tool_request(&self) -> ToolDecision {
        Decision::Continue
    }
}

struct Text;

#[callback_handler]
impl Text {
    fn on_llm_start(&self) {}
}

/// By hand: it wants to hear of nothing.
struct Nothing;

impl Deliver<Events> for Nothing {
    fn interests(&self) -> Interests {
        Interests::NONE
    }

    fn async_interests(&self) -> Interests {
        Interests::NONE
    }

    fn deliver(&self, _: &Run<'_>, _: &AnyEvent<'_>) -> Outcome {
        Ok(())
    }

    fn deliver_async<'a, 'e: 'a>(
        &'a self,
        _: &'a Run<'e>,
        _: &'a AnyEvent<'e>,
    ) -> BoxFuture<'a, Outcome> {
        Box::pin(async { Ok(()) })
    }
}

impl Handler<Events> for Nothing {
    type Delivery = Self;

    fn register(self) -> Registered<Events, Self> {
        Registered::new(Arc::new(self))
    }
}

#[test]
fn who_is_left_with_nothing_is_told() {
    let callbacks = Callbacks::new();
    let says = |name: &str| {
        format!(
            "WARN message=the callback handler `{name}` hears nothing: `only` and `except` leave \
             none of the events it has methods for"
        )
    };
    let warned = logged(|| {
        let _ = callbacks.with(handler(Tools).only(Interests::LLM).named("tools"));
    });
    assert_eq!(warned, [says("tools")]);
    let warned = logged(|| {
        let _ = callbacks.with_local(handler(Tools).except(Interests::TOOL));
        let _ = callbacks.with(handler(Till).only(Interests::of(&[shop::Closed::INDEX])));
        let closure = on(|_: &LlmEnd<'_>| ());
        let _ = callbacks.with(handler(closure).except(Interests::LLM).named("closure"));
        // A text model's method is called for chat models only where it is left.
        let chat = Interests::of(&[ChatModelStart::INDEX]);
        let _ = callbacks.with(handler(Arc::new(Text)).only(chat));
        let every = Interests::ALL;
        let _ = callbacks.with(handler(Recorder::new()).except(every).named("recorder"));
    });
    let module = module_path!();
    let names = ["Tools", "Till"].map(|name| format!("{module}::{name}"));
    let text = format!("{module}::Text");
    let names = [&*names[0], &*names[1], "closure", &*text, "recorder"];
    assert_eq!(warned, names.map(says));
}

#[test]
fn who_hears_something_is_not_bothered() {
    let callbacks = Callbacks::new();
    let warned = logged(|| {
        let _ = callbacks
            .with(Tools)
            .with(Nothing)
            .with(handler(Nothing).inline());
        let end = Interests::of(&[ToolEnd::INDEX]);
        let _ = callbacks.with(handler(Tools).only(end));
        let _ = callbacks.with(handler(Tools).except(end));
        // There is nothing to leave out.
        let _ = callbacks.with(handler(Nothing).only(Interests::LLM));
        // It is asked, whatever is left of the rest.
        let _ = callbacks.with(handler(Approver).only(Interests::NONE));
        let start = Interests::of(&[LlmStart::INDEX]);
        let _ = callbacks.with(handler(Text).only(start));
        let _ = callbacks.with(Usage::new());
    });
    assert_eq!(warned, [""; 0]);
}

#[test]
fn what_is_heard_is_shown() {
    let callbacks = Callbacks::new()
        .with(handler(Tools).named("tools"))
        .with(handler(Text).named("text"))
        .with(handler(Tools).only(Interests::LLM).named("nothing"))
        .with(handler(Till).named("till"));
    let shown = format!("{callbacks:?}");
    let heard = r#"handlers: [{"tools": ["on_tool_start", "on_tool_end"], "text": ["on_llm_start", "on_chat_model_start"], "nothing": []}, {"till": ["on_sold"]}]"#;
    assert!(shown.contains(heard), "{shown}");
}

/// The fallback of chat models follows what is left of the handler.
#[tokio::test]
async fn a_narrowed_handler_hears_of_chat_models_as_far_as_it_may() {
    struct Starts(Log);

    #[callback_handler]
    impl Starts {
        fn on_llm_start(&self, prompts: &[String]) -> Result<(), String> {
            self.0.add(prompts.join(" "));
            Err("no".to_owned())
        }
    }

    let log = Log::new();
    let starts = || handler(Starts(log.clone())).raise_errors();
    let text = Interests::of(&[LlmStart::INDEX]);
    let chat = Interests::of(&[ChatModelStart::INDEX]);
    for (handler, called) in [
        (starts().only(text), true),
        (starts().except(text), false),
        (starts().except(chat), false),
        (starts().only(Interests::LLM), true),
    ] {
        let callbacks = Callbacks::new().with(handler);
        let run = callbacks.chat_model_start(&MODEL, vec![Message::human("hi")]);
        let run = run.await.map(drop);
        if called {
            let Err(EmitError::Raised { event, .. }) = run else {
                panic!("{run:?}");
            };
            assert_eq!(event, "on_llm_start");
            assert_eq!(log.take(), ["Human: hi"]);
        } else {
            run.unwrap();
            assert!(log.take().is_empty());
        }
    }
}

#[test]
fn only_and_except_narrow_what_a_handler_is_called_for() {
    let all = Callbacks::new().with(Recorder::new());
    assert!(all.wants::<LlmEnd<'_>>() && all.wants::<ToolStart<'_>>());
    let only = handler(Recorder::new()).only(Interests::LLM | Interests::CHAIN);
    let only = Callbacks::new().with(only);
    assert!(only.wants::<LlmEnd<'_>>() && !only.wants::<ToolStart<'_>>());
    let except = handler(Recorder::new()).except(Interests::TOOL);
    let except = Callbacks::new().with(handler(except).only(Interests::LLM | Interests::TOOL));
    assert!(except.wants::<LlmNewToken<'_>>() && !except.wants::<ToolStart<'_>>());
    let none = handler(Recorder::new()).only(Interests::NONE);
    assert!(!Callbacks::new().with(none).wants::<LlmEnd<'_>>());
}

/// Of how many open runs something is kept.
fn open(handler: &impl Debug) -> usize {
    let shown = format!("{handler:?}");
    let count = shown
        .split("open: ")
        .nth(1)
        .and_then(|rest| rest.split([',', ' ']).next());
    count.unwrap().parse().unwrap()
}

async fn fail(callbacks: &Callbacks) {
    let tool = callbacks.tool_start(&TOOL, "").await.unwrap();
    tool.error(RunError::new("")).await.unwrap();
}

/// What is kept of a run goes when that is over, and not before.
#[tokio::test]
async fn runs_whose_end_is_not_heard_are_let_go() {
    let (sent, trees) = mpsc::channel();
    let gather = Arc::new(RunTrees::new(move |tree| sent.send(tree).unwrap()));
    let unheard = [ToolError::INDEX, ChainStart::INDEX, ChainError::INDEX];
    let narrowed = handler(gather.clone()).except(Interests::of(&unheard));
    let callbacks = Callbacks::new().with(narrowed);
    let open_run = callbacks.tool_start(&TOOL, "open").await.unwrap();
    let inside = open_run.callbacks().tool_start(&TOOL, "inside");
    let inside = inside.await.unwrap();
    for _ in 0..1_000 {
        let tool = callbacks.tool_start(&TOOL, "").await.unwrap();
        // Nobody hears of the one in between.
        let chain = tool.callbacks().chain_start(&CHAIN, Value::Null);
        let chain = chain.await.unwrap();
        let inner = chain.callbacks().tool_start(&TOOL, "").await.unwrap();
        for run in [inner, tool] {
            run.error(RunError::new("")).await.unwrap();
        }
        // Those inside a run that stays, too.
        fail(inside.callbacks()).await;
    }
    assert!((2..20).contains(&open(&gather)), "{gather:?}");
    inside.end(Value::Null).await.unwrap();
    open_run.end(Value::Null).await.unwrap();
    assert_eq!(trees.try_recv().unwrap().runs().len(), 1_002);
}

/// Whoever else keeps what is known of them.
#[tokio::test]
async fn handlers_that_keep_runs_let_them_go_all_the_same() {
    let (gathers, spans) = (
        [(); 2].map(|()| Arc::new(RunTrees::new(|_| ()))),
        Spans::new(),
    );
    let spans = Arc::new(spans);
    let unheard = Interests::of(&[ToolError::INDEX]);
    let mut callbacks = Callbacks::new().with(handler(spans.clone()).inline().except(unheard));
    for gather in &gathers {
        callbacks = callbacks.with(handler(gather.clone()).except(unheard));
    }
    let mut kept = Vec::new();
    for _ in 0..1_000 {
        let tool = callbacks.tool_start(&TOOL, "").await.unwrap();
        kept.push(tool.info().clone());
        tool.error(RunError::new("")).await.unwrap();
    }
    for open in [open(&gathers[0]), open(&gathers[1]), open(&spans)] {
        assert!(open < 20, "{open} are kept");
    }
}

/// However many there were before, or are.
#[tokio::test]
async fn few_runs_and_many_are_let_go() {
    let gather = Arc::new(RunTrees::new(|_| ()));
    let narrowed = handler(gather.clone()).except(Interests::of(&[ToolError::INDEX]));
    let callbacks = Callbacks::new().with(narrowed);
    for burst in [10, 10_000] {
        let mut runs = Vec::new();
        for _ in 0..burst {
            runs.push(callbacks.tool_start(&TOOL, "").await.unwrap());
        }
        // While many are open, and then nothing is heard of how they end.
        for _ in 0..burst {
            fail(&callbacks).await;
        }
        assert!(open(&gather) <= 2 * burst + 2, "{burst}: {gather:?}");
        for run in runs {
            run.error(RunError::new("")).await.unwrap();
        }
        for _ in 0..3 * burst {
            fail(&callbacks).await;
        }
        assert!(open(&gather) < 5, "{burst}: {gather:?}");
    }
}

/// As long as something of them waits in a queue, and be it of a run inside.
#[tokio::test]
async fn what_is_queued_keeps_the_runs_around() {
    let (sent, trees) = mpsc::channel();
    let (at, stands) = mpsc::channel();
    let (go, gate) = mpsc::channel();
    let gate = Mutex::new(gate);
    let gather = RunTrees::new(move |tree: RunTree| {
        let name = tree.root().info.name().to_owned();
        if name == "gate" {
            at.send(()).unwrap();
            gate.lock().unwrap().recv().unwrap();
        }
        sent.send(name).unwrap();
    });
    let unheard = [ToolError::INDEX, ChainStart::INDEX, ChainEnd::INDEX];
    let narrowed = handler(gather).except(Interests::of(&unheard));
    let callbacks = Callbacks::new().with(narrowed.background(Queue::bounded(1_000)));
    // It is not heard, and makes one queue of all.
    let flow = callbacks.chain_start(&CHAIN, Value::Null).await.unwrap();
    let start = async |callbacks: &Callbacks, name: &'static str| {
        let tool = callbacks.tool_start(&TOOL, "").name(name);
        tool.await.unwrap()
    };
    let outer = start(flow.callbacks(), "outer").await;
    let inside = start(outer.callbacks(), "inside").await;
    let gate = start(flow.callbacks(), "gate").await;
    gate.end(Value::Null).await.unwrap();
    stands.recv().unwrap();
    let inner = start(inside.callbacks(), "inner").await;
    inner.end(Value::Null).await.unwrap();
    let infos = [inside.info().clone(), outer.info().clone()];
    inside.error(RunError::new("")).await.unwrap();
    outer.error(RunError::new("")).await.unwrap();
    flow.end(Value::Null).await.unwrap();
    for _ in 0..200 {
        fail(&callbacks).await;
    }
    assert!(infos.iter().all(|info| !info.is_over()));
    go.send(()).unwrap();
    assert!(callbacks.flush(LONG).await.is_complete());
    // The queue lets go of them a moment after the handler is done.
    let over = async {
        while !infos.iter().all(RunInfo::is_over) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, over).await.unwrap();
    assert_eq!(trees.try_iter().collect::<Vec<_>>(), ["gate"]);
}
