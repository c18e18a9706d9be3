//! `rig-agent` 0.44.0: `AgentHook`s in a `HookStack`, called as its engine calls them for a text delta.
//!
//! A hook needs a `HookContext`, which only a run makes. So each batch is emitted inside a hook that
//! is called at the start of a run, and that stops the run afterwards; what is measured is the stack.

use std::hint::black_box;
use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use rig_agent::agent::{
    AgentHook, HookContext, HookStack, ObservationAction, RunStart, RunStartAction, StepEventKind,
    TextDelta,
};
use rig_agent::{Agent, AgentBuilder};
use rig_core::test_utils::{MockCompletionModel, MockStreamEvent};
use tokio::runtime::Runtime;

use crate::handlers::Calls;
use crate::on_a_task;
use crate::rows::Row;
use crate::subject::{Gauge, Subject, TOKEN};

/// All its methods are async, so those rows have the same hooks. Its runs cannot be started without
/// a model.
pub(crate) fn subject(row: Row, calls: &Calls) -> Option<Box<dyn Subject>> {
    let hooks = match row {
        Row::Unheard => HookStack::new(),
        Row::Unwanted(n) => stack(n, || Bystander),
        Row::Plain(n) | Row::Async(n) => stack(n, || Counter(calls.clone())),
        Row::Run => return None,
    };
    Some(Box::new(Stack(hooks)))
}

/// In a real run, with the engine that calls hooks: each hook is called for each delta.
pub(crate) fn check(runtime: &Runtime) {
    const TOKENS: usize = 5;
    const HOOKS: usize = 3;

    let calls = Calls::default();
    let deltas = (0..TOKENS).map(|_| MockStreamEvent::text(TOKEN));
    let end = MockStreamEvent::final_response_with_default_usage();
    let model = MockCompletionModel::from_stream_turns([deltas.chain([end])]);
    let hooks = stack(HOOKS, || Counter(calls.clone()));
    let agent = AgentBuilder::new(model).add_hook(hooks).build();
    on_a_task(runtime, async move {
        let mut items = agent.prompt("Why?").stream();
        while let Some(item) = items.next().await {
            item.expect("the script has an answer");
        }
    });
    assert_eq!(calls.so_far(), TOKENS * HOOKS, "hook calls in a run of rig");
}

fn stack<H: AgentHook + 'static>(n: usize, hook: impl Fn() -> H) -> HookStack {
    let mut hooks = HookStack::new();
    for _ in 0..n {
        hooks.push(hook());
    }
    hooks
}

struct Counter(Calls);

impl AgentHook for Counter {
    async fn on_text_delta(&self, _ctx: &HookContext, event: TextDelta<'_>) -> ObservationAction {
        self.0.count(event.delta);
        ObservationAction::continue_run()
    }
}

struct Bystander;

impl AgentHook for Bystander {
    fn observes(&self, kind: StepEventKind) -> bool {
        kind == StepEventKind::ModelTurnFinished
    }
}

struct Stack(HookStack);

impl Subject for Stack {
    fn batch(&self, events: u32, gauge: Gauge) -> BoxFuture<'_, f64> {
        let measured = Arc::new(Mutex::new(None));
        let probe = Probe {
            hooks: self.0.clone(),
            events,
            gauge,
            measured: measured.clone(),
        };
        let agent = agent(probe);
        Box::pin(async move {
            let run = agent.prompt("Why?").await;
            assert!(run.is_err(), "the hook has stopped the run");
            let measured = measured.lock().expect("nothing panics with the lock");
            measured.expect("the hook was called")
        })
    }
}

fn agent(hook: impl AgentHook + 'static) -> Agent {
    let model = MockCompletionModel::text("never asked for");
    AgentBuilder::new(model).add_hook(hook).build()
}

struct Probe {
    hooks: HookStack,
    events: u32,
    gauge: Gauge,
    measured: Arc<Mutex<Option<f64>>>,
}

impl AgentHook for Probe {
    async fn on_run_start(&self, context: &HookContext, _event: RunStart<'_>) -> RunStartAction {
        // The engine asks once for each run, and skips the stack if no hook in it observes deltas.
        let observed = black_box(self.hooks.observes(StepEventKind::TextDelta));
        let batch = async {
            for _ in 0..self.events {
                if black_box(observed) {
                    let delta = TextDelta {
                        delta: black_box(TOKEN),
                        aggregated: TOKEN,
                    };
                    let action = black_box(&self.hooks).on_text_delta(context, delta).await;
                    assert_eq!(action, ObservationAction::Continue);
                }
            }
        };
        let measured = self.gauge.per_event(self.events, batch).await;
        *self.measured.lock().expect("nothing panics with the lock") = Some(measured);
        RunStartAction::stop("it is measured")
    }
}
