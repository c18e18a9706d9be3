//! A server whose tools do what a test wants done, in a run or without.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use callbacks::testing::Recorder;
use callbacks::{Callbacks, Serialized, handler};
use callbacks_rmcp::{ProgressReporter, ToolServer, events};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ElicitRequest,
    ElicitRequestParams, ErrorData, InputRequest, InputRequests, InputRequiredResult,
    ProgressNotificationParam, ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult,
    ResourceContents, ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, ServerHandler};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{Seen, SeenEvent, over};

#[derive(Clone)]
pub struct Probe {
    pub recorder: Recorder,
    pub progress: Recorder<events::Events>,
    pub callbacks: Callbacks,
    /// Lets a deaf tool go.
    pub release: Arc<Notify>,
    /// A deaf tool is about to return.
    pub finished: Arc<Notify>,
    /// How often a tool has begun.
    pub entered: Arc<AtomicUsize>,
}

impl Probe {
    /// One whose runs are recorded.
    pub fn new() -> Self {
        let recorder = Recorder::new();
        let progress = Recorder::of::<events::Events>();
        let callbacks = Callbacks::new()
            .with(recorder.clone())
            .with(handler(progress.clone()).inline());
        Self {
            recorder,
            progress,
            callbacks,
            release: Arc::default(),
            entered: Arc::default(),
            finished: Arc::default(),
        }
    }

    pub fn with_runs(&self) -> ToolServer<Self> {
        ToolServer::new(self.clone(), self.callbacks.clone())
    }

    /// What was recorded when so many runs of tools were over.
    pub async fn seen(&self, runs: usize) -> Seen {
        let recorder = &self.recorder;
        let events = recorder.until(|events| over(events) >= runs).await;
        let progress = self.progress.events();
        Seen {
            events: events.iter().map(SeenEvent::of).collect(),
            progress: progress.iter().map(how_far).collect(),
            problems: recorder
                .balanced()
                .err()
                .map(|problems| problems.to_string()),
        }
    }
}

/// What a recorded event says.
pub fn how_far(recorded: &callbacks::testing::Recorded<events::Events>) -> f64 {
    match recorded.event() {
        events::AnyEvent::ToolProgress(event) => event.progress,
        other => panic!("no progress: {other:?}"),
    }
}

impl ServerHandler for Probe {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources();
        ServerConfig::new(capabilities.build())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        self.entered.fetch_add(1, Ordering::SeqCst);
        let arguments = request.arguments.clone().unwrap_or_default();
        let number = |name: &str| arguments.get(name).and_then(Value::as_i64);
        let text = |text: String| CallToolResult::success(vec![ContentBlock::text(text)]);
        let result = match &*request.name {
            "add" => match number("a").zip(number("b")) {
                Some((a, b)) => text((a + b).to_string()),
                None => return Err(ErrorData::invalid_params("two numbers are needed", None)),
            },
            "table" => CallToolResult::structured(json!({ "rows": [1, 2, 3] })),
            "nothing" => CallToolResult::success(Vec::new()),
            "fail" => CallToolResult::error(vec![ContentBlock::text("no such book")]),
            "fail_structured" => CallToolResult::structured_error(json!({ "code": 7 })),
            "refuse" => {
                let data = Some(json!({ "shelf": 3 }));
                return Err(ErrorData::internal_error("the library is closed", data));
            }
            "panic" => panic!("a bug of the tool"),
            "meta" => text(serde_json::to_string(&context.meta).unwrap()),
            "count" => {
                let up_to = number("up_to").unwrap_or_default();
                for step in 1..=up_to {
                    let step = f64::from(i32::try_from(step).unwrap());
                    report(&context, step, Some("counting")).await;
                }
                text("counted".to_owned())
            }
            "wait" => {
                report(&context, 1.0, None).await;
                context.ct.cancelled().await;
                text("stopped".to_owned())
            }
            "hang" => {
                report(&context, 1.0, None).await;
                pending().await
            }
            // Deaf to its cancellation, until it is let go.
            "deaf" => {
                report(&context, 1.0, None).await;
                self.release.notified().await;
                self.finished.notify_one();
                text("late".to_owned())
            }
            "deaf_panic" => {
                report(&context, 1.0, None).await;
                self.release.notified().await;
                panic!("a bug of the tool");
            }
            "exit" => {
                report(&context, 1.0, None).await;
                std::process::exit(1);
            }
            "nest" => nest(&context).await,
            "ask" => match &request.input_responses {
                None => {
                    report(&context, 1.0, None).await;
                    return Ok(ask().into());
                }
                Some(responses) => {
                    report(&context, 2.0, None).await;
                    text(json!(responses).to_string())
                }
            },
            other => {
                let message = format!("no tool is called {other}");
                return Err(ErrorData::invalid_params(message, None));
            }
        };
        Ok(result.into())
    }

    /// `runs:3` is the record of the server once three runs of tools are over.
    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let runs = request
            .uri
            .strip_prefix("runs:")
            .and_then(|runs| runs.parse().ok());
        let seen = self.seen(runs.unwrap_or_default()).await;
        let seen = serde_json::to_string(&seen).unwrap();
        let contents = vec![ResourceContents::text(seen, request.uri)];
        Ok(ReadResourceResult::new(contents).into())
    }
}

/// Says how far a tool is, in a run or without.
async fn report(context: &RequestContext<RoleServer>, progress: f64, message: Option<&str>) {
    if let Some(reporter) = context.extensions.get::<ProgressReporter>() {
        // Where the client is gone, there is nobody to tell.
        let _ = reporter.report(progress, None, message).await;
        return;
    }
    if let Some(token) = context.meta.get_progress_token() {
        let mut params = ProgressNotificationParam::new(token, progress);
        params.message = message.map(str::to_owned);
        let _ = context.peer.notify_progress(params).await;
    }
}

/// A chain with a tool in it.
async fn nest(context: &RequestContext<RoleServer>) -> CallToolResult {
    static PLAN: Serialized = Serialized::new("plan");
    static STEP: Serialized = Serialized::new("step");
    let callbacks = context.extensions.get::<Callbacks>().cloned();
    let callbacks = callbacks.unwrap_or_default();
    let plan = callbacks.chain_start(&PLAN, json!({})).await.unwrap();
    let step = plan.callbacks().tool_start(&STEP, "1").await.unwrap();
    step.end(json!("one")).await.unwrap();
    plan.end(json!({})).await.unwrap();
    CallToolResult::success(vec![ContentBlock::text("done")])
}

/// A question back to the client, in the middle of a call.
fn ask() -> InputRequiredResult {
    let schema = json!({
        "type": "object",
        "properties": { "name": { "type": "string" } },
        "required": ["name"]
    });
    let question = ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: "Who asks?".to_owned(),
        requested_schema: serde_json::from_value(schema).unwrap(),
    };
    let question = InputRequest::Elicitation(ElicitRequest::new(question));
    let requests = InputRequests::from([("name".to_owned(), question)]);
    InputRequiredResult::new(Some(requests), Some("state".to_owned()))
}

/// Drives a future that never ends on its own until another one is done.
pub async fn while_pending<F: Future, G: Future>(never: F, other: G) -> G::Output {
    let mut never = pin!(never);
    tokio::select! {
        _ = &mut never => panic!("it was not to end"),
        output = other => output,
    }
}
