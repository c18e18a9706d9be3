//! What is open of one run of an agent, and what is told of it.

use std::any::type_name;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use callbacks::events::AgentAction as AgentActionEvent;
use callbacks::{
    AgentAction, AgentFinish, Asked, Callbacks, ChainRun, Content, EmitError, ErrorKind, Event,
    Message, ModelParams, RetrieverRun, RunError, RunKind, Serialized, ToolRun,
};
use rig_agent::agent::{HookContext, PromptResponse, RunStart};
use rig_agent::completion::PromptError;
use rig_core::completion::{CompletionRequest, ModelRef};
use rig_core::effect::{EffectId, EffectKind, Outcome, RetrieveQuery};
use rig_core::error::ErrorReport;
use rig_core::message::{self as rig, CallId};
use rig_core::tool::ToolResult;
use serde_json::{Value, json};

use crate::arrived::Piece;
use crate::model::Model;
use crate::rewrite::rewrite;
use crate::{answer, messages, params};

static AGENT: Serialized = Serialized::new("Agent");
static MODEL: Serialized = Serialized::new("CompletionModel");
static INDEX: Serialized = Serialized::new("VectorStoreIndex");

/// Why the agent is stopped.
pub(crate) struct Stop(pub(crate) String);

/// What becomes of a call that is about to be made.
pub(crate) enum Go {
    On,
    /// It is made, but so.
    With(Box<EffectKind>),
    /// It is not made, and the model is told why.
    Not(String),
}

/// All that is told of one run of an agent. Whoever polls the agent owns this, so that what is open closes
/// with it.
///
/// The guard of a call is taken out while handlers are told, so that calls do not wait for each other; if the
/// agent is given up there, the guard is dropped with the future that has it.
pub(crate) struct Runs {
    callbacks: Callbacks,
    params: ModelParams,
    // Dropped before the run that it is inside of.
    open: Mutex<Open>,
    /// Locked while it is started: of several tools that are called at once, one starts it.
    agent: tokio::sync::Mutex<Option<ChainRun>>,
    raised: Mutex<Option<EmitError>>,
}

#[derive(Default)]
struct Open {
    /// The model that is called next, or was last.
    selected: Option<ModelRef>,
    model: Option<Box<Model>>,
    calls: HashMap<EffectId, Call>,
}

enum Call {
    Tool(ToolRun),
    /// By a handler, in place of the tool.
    Answered(Value),
    Index(RetrieverRun),
}

impl Runs {
    pub(crate) fn new(callbacks: Callbacks, params: ModelParams) -> Self {
        Self {
            callbacks,
            params,
            open: Mutex::default(),
            agent: tokio::sync::Mutex::default(),
            raised: Mutex::default(),
        }
    }

    pub(crate) fn wants<E: Event>(&self) -> bool {
        self.callbacks.wants::<E>()
    }

    /// What a handler raised, once.
    pub(crate) fn take_raised(&self) -> Option<EmitError> {
        lock(&self.raised).take()
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        lock(&self.open)
    }

    /// Stops the agent with what a handler raised.
    fn raise(&self, error: EmitError) -> Stop {
        let stop = Stop(error.to_string());
        lock(&self.raised).get_or_insert(error);
        stop
    }

    /// What is to become of the agent when handlers were told of something that was under way.
    fn told(&self, told: Result<(), EmitError>) -> Result<(), Stop> {
        match told {
            // A run around the agent is over. Whether somebody hears of it does not change what it does;
            // what it starts next will fail.
            Ok(()) | Err(EmitError::RunClosed) => Ok(()),
            Err(error) => Err(self.raise(error)),
        }
    }

    /// A model or a tool that is not called.
    fn not_started(&self, error: EmitError) -> Stop {
        match error {
            EmitError::Stopped { reason } => Stop(reason),
            error => self.raise(error),
        }
    }

    async fn start(
        &self,
        ctx: &HookContext,
        start: Option<&RunStart<'_>>,
    ) -> Result<ChainRun, Stop> {
        if let Some(raised) = &*lock(&self.raised) {
            // Rig may try again, which does not make it good.
            return Err(Stop(raised.to_string()));
        }
        let run = self.callbacks.chain_start(&AGENT, || inputs(start));
        let name = ctx.agent_name().map(str::to_owned);
        let run = match name {
            Some(name) => run.name(name),
            None => run,
        };
        let run = run.kind(RunKind::Agent).await;
        run.map_err(|error| self.raise(error))
    }

    pub(crate) async fn begin(&self, ctx: &HookContext, start: &RunStart<'_>) -> Result<(), Stop> {
        let mut agent = self.agent.lock().await;
        *agent = Some(self.start(ctx, Some(start)).await?);
        Ok(())
    }

    /// What is started inside the agent's run. It may not have begun yet: where a run is resumed, rig does not
    /// say that it starts.
    async fn inside(&self, ctx: &HookContext) -> Result<Callbacks, Stop> {
        let mut agent = self.agent.lock().await;
        let run = match agent.take() {
            Some(run) => run,
            None => self.start(ctx, None).await?,
        };
        Ok(agent.insert(run).callbacks().clone())
    }

    pub(crate) fn select(&self, model: &ModelRef) {
        self.open().selected = Some(model.clone());
    }

    pub(crate) async fn call_model(
        &self,
        ctx: &HookContext,
        request: &CompletionRequest,
        stream: bool,
    ) -> Result<Go, Stop> {
        self.close_model().await?;
        let inside = self.inside(ctx).await?;
        let selected = self.open().selected.clone();
        let start = inside.chat_model_start(&MODEL, || messages::of_request(request));
        let start = match params::model(&self.params, selected.as_ref(), request) {
            Some(model) => start.name(model),
            None => start,
        };
        let params = || params::params(&self.params, selected.as_ref(), request, stream);
        let run = match start.params(params).ask().await {
            Ok(Asked::Go(run)) => run,
            Ok(Asked::Answered(_)) => {
                let reason =
                    "a callback handler answered in place of the model, which rig has no way to do";
                return Err(Stop(reason.to_owned()));
            }
            Err(error) => return Err(self.not_started(error)),
        };
        let go = match run.messages().map(|messages| rewrite(request, messages)) {
            None => Go::On,
            Some(Ok(request)) => Go::With(Box::new(EffectKind::Completion { request, stream })),
            Some(Err(reason)) => {
                let error = RunError::new(&*reason).with_kind(ErrorKind::Stopped);
                self.told(run.error(error).await)?;
                return Err(Stop(reason));
            }
        };
        self.open().model = Some(Box::new(Model::begin(run.into_run())));
        Ok(go)
    }

    pub(crate) async fn piece(&self, piece: Piece<'_>) -> Result<(), Stop> {
        let Some(mut model) = self.open().model.take() else {
            return Ok(());
        };
        let told = model.tell(piece).await;
        self.open().model = Some(model);
        self.told(told)
    }

    /// The model wants something that cannot be done: rig may tell no more of this turn.
    pub(crate) fn said(&self, message: Option<&rig::Message>) {
        if let (Some(model), Some(rig::Message::Assistant(said))) =
            (&mut self.open().model, message)
        {
            model.say(messages::assistant(&said.content));
        }
    }

    /// Ends the turn before, if rig has not told how it went: the model answered, and the agent goes on.
    async fn close_model(&self) -> Result<(), Stop> {
        let model = self.open().model.take();
        match model {
            Some(model) => self.told(model.end(None).await),
            None => Ok(()),
        }
    }

    pub(crate) async fn answered(
        &self,
        outcome: &Result<Outcome, ErrorReport>,
    ) -> Result<(), Stop> {
        let Some(model) = self.open().model.take() else {
            return Ok(());
        };
        match outcome {
            Ok(Outcome::Completion(response)) => {
                self.told(model.end(Some(response)).await)?;
                if self.wants::<AgentActionEvent<'_>>() {
                    for call in answer::calls(response) {
                        self.act(&call.name, call.args).await?;
                    }
                }
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(report) => self.told(model.fail(report).await),
        }
    }

    async fn act(&self, tool: &str, input: Value) -> Result<(), Stop> {
        match &*self.agent.lock().await {
            Some(agent) => self.told(agent.agent_action(|| AgentAction::new(tool, input)).await),
            None => Ok(()),
        }
    }

    pub(crate) async fn call_tool(
        &self,
        ctx: &HookContext,
        id: EffectId,
        name: &str,
        args: &str,
        call_id: Option<&CallId>,
    ) -> Result<Go, Stop> {
        self.close_model().await?;
        let inside = self.inside(ctx).await?;
        let tool = Serialized::from(name.to_owned());
        let start = inside.tool_start(&tool, args);
        let start = start.inputs(|| serde_json::from_str(args).unwrap_or_default());
        let call_id = call_id.map(CallId::wire);
        let start = match &call_id {
            Some(call_id) => start.tool_call_id(call_id),
            None => start,
        };
        let (call, go) = match start.ask().await {
            Ok(Asked::Go(run)) => {
                let go = if run.input() == args {
                    Go::On
                } else {
                    Go::With(Box::new(EffectKind::ToolCall {
                        name: name.to_owned(),
                        args: run.input().to_owned(),
                    }))
                };
                (Call::Tool(run.into_run()), go)
            }
            Ok(Asked::Answered(output)) => {
                let instead = "a callback handler answered in place of the tool";
                (Call::Answered(output), Go::Not(instead.to_owned()))
            }
            // The model reads what a tool does wrong.
            Err(EmitError::Stopped { reason }) => return Ok(Go::Not(reason)),
            Err(error) => return Err(self.raise(error)),
        };
        self.open().calls.insert(id, call);
        Ok(go)
    }

    pub(crate) async fn retrieve(
        &self,
        ctx: &HookContext,
        id: EffectId,
        query: &RetrieveQuery,
    ) -> Result<Go, Stop> {
        self.close_model().await?;
        let (RetrieveQuery::TopN { req } | RetrieveQuery::TopNIds { req }) = query;
        let run = self
            .inside(ctx)
            .await?
            .retriever_start(&INDEX, req.query())
            .await;
        let run = run.map_err(|error| self.raise(error))?;
        self.open().calls.insert(id, Call::Index(run));
        Ok(Go::On)
    }

    /// A tool or an index has answered. Gives the outcome that takes the place of rig's, if there is one.
    pub(crate) async fn came_back(
        &self,
        id: EffectId,
        outcome: &Result<Outcome, ErrorReport>,
    ) -> Result<Option<Outcome>, Stop> {
        let Some(call) = self.open().calls.remove(&id) else {
            return Ok(None);
        };
        let told = match call {
            Call::Answered(output) => {
                let result = ToolResult::success(answer::tool_output(output));
                return Ok(Some(Outcome::ToolResult { result }));
            }
            Call::Tool(run) => match outcome {
                Ok(Outcome::ToolResult { result }) => run.finish(answer::output(result)).await,
                other => run.error(no_answer(other)).await,
            },
            Call::Index(run) => match outcome {
                Ok(Outcome::Documents(found)) => run.end(|| answer::documents(found)).await,
                other => run.error(no_answer(other)).await,
            },
        };
        self.told(told)?;
        Ok(None)
    }

    /// The agent has answered. What handlers raise now comes out of the future or the stream.
    pub(crate) async fn finish(&self, response: &PromptResponse) {
        let _ = self.close_model().await;
        let Some(agent) = self.agent.lock().await.take() else {
            return;
        };
        let outputs = || json!({ "output": response.output() });
        let told = agent.agent_finish(|| AgentFinish::new(outputs())).await;
        let _ = self.told(told);
        let raised = lock(&self.raised).as_ref().map(RunError::from);
        let told = match raised {
            Some(raised) => agent.error(raised).await,
            None => agent.end(outputs).await,
        };
        let _ = self.told(told);
    }

    /// The agent has failed, or was stopped: for rig that is one.
    pub(crate) async fn fail(&self, ctx: &HookContext, error: &str) {
        let raised = lock(&self.raised).as_ref().map(RunError::from);
        let was_raised = raised.is_some();
        let error = raised
            .unwrap_or_else(|| RunError::new(error).with_type_name(type_name::<PromptError>()));
        let model = self.open().model.take();
        if let Some(model) = model {
            let _ = self.told(model.fail(&error).await);
        }
        let agent = self.agent.lock().await.take();
        let agent = match agent {
            Some(agent) => agent,
            // Another hook stopped it before it began, or there was no history to be had.
            None if !was_raised => match self.start(ctx, None).await {
                Ok(agent) => agent,
                Err(_) => return,
            },
            None => return,
        };
        // Tools that are still called are closed with it.
        let _ = self.told(agent.error(error).await);
        self.open().calls.clear();
    }
}

/// What an agent is asked.
fn inputs(start: Option<&RunStart<'_>>) -> Value {
    let Some(start) = start else { return json!({}) };
    let said = |message: &rig::Message| messages::messages(message);
    let prompt = match &*said(start.prompt) {
        [
            Message {
                content: Content::Text(text),
                ..
            },
        ] => json!(text),
        prompt => json!(prompt),
    };
    let history: Vec<_> = start.history.iter().flat_map(said).collect();
    if history.is_empty() {
        json!({ "prompt": prompt })
    } else {
        json!({ "prompt": prompt, "history": history })
    }
}

/// Why a call has no answer of its own kind.
fn no_answer(outcome: &Result<Outcome, ErrorReport>) -> RunError {
    match outcome {
        Ok(other) => RunError::new(format!("rig answered with a {}", other.family())),
        Err(report) => RunError::from(report),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
