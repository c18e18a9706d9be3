//! What a call of a tool takes with runs, beside the same call without this crate.
//!
//! Client and server are in one process, with a stream in memory between them, on one thread. The
//! variants take turns, call by call.

use std::hint::black_box;
use std::time::{Duration, Instant};

use callbacks::{Callbacks, callback_handler, handler};
use callbacks_rmcp::{ProgressReporter, ToolClient, ToolServer, events};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData,
    ProgressNotificationParam, ServerCapabilities, ServerConfig,
};
use rmcp::service::{RequestContext, RunningService, ServiceExt};
use rmcp::{RoleClient, RoleServer, ServerHandler};
use serde_json::{Value, json};

const WARM_UP: usize = 500;
const CALLS: usize = 5_000;

#[derive(Clone)]
struct Tools;

impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        for step in 0..if request.name == "steps" { 10 } else { 0 } {
            let step = f64::from(step);
            if let Some(progress) = context.extensions.get::<ProgressReporter>() {
                let _ = progress.report(step, 10.0, "step").await;
            } else if let Some(token) = context.meta.get_progress_token() {
                let step = ProgressNotificationParam::new(token, step);
                let step = step.with_total(10.0).with_message("step");
                let _ = context.peer.notify_progress(step).await;
            }
        }
        Ok(CallToolResult::success(vec![ContentBlock::text("3")]).into())
    }
}

/// Looks at what it is told, and no more.
#[derive(Clone)]
struct Look;

#[callback_handler]
impl Look {
    fn on_tool_start(&self, input: &str) {
        black_box(input);
    }

    fn on_tool_end(&self, output: &Value) {
        black_box(output);
    }
}

#[callback_handler(events = events)]
impl Look {
    fn on_tool_progress(&self, progress: f64) {
        black_box(progress);
    }
}

#[derive(Clone)]
struct LookAsync;

#[callback_handler]
impl LookAsync {
    async fn on_tool_start(&self, input: &str) {
        black_box(input);
    }

    async fn on_tool_end(&self, output: &Value) {
        black_box(output);
    }
}

type Client = RunningService<RoleClient, ()>;

async fn connect(server: impl ServerHandler, tools: Option<&ToolClient>) -> Client {
    let (here, there) = tokio::io::duplex(1 << 16);
    tokio::spawn(async move { server.serve(there).await.unwrap().waiting().await });
    match tools {
        Some(tools) => ().serve(tools.transport(here)).await.unwrap(),
        None => ().serve(here).await.unwrap(),
    }
}

fn params(tool: &'static str) -> CallToolRequestParams {
    let arguments = json!({ "a": 1, "b": 2, "text": "a text of middling length, as tools get it" });
    let arguments = arguments.as_object().cloned().unwrap_or_default();
    CallToolRequestParams::new(tool).with_arguments(arguments)
}

struct Variant {
    name: &'static str,
    client: Client,
    /// `None`: without this crate.
    runs: Option<(ToolClient, Callbacks)>,
    took: Vec<Duration>,
}

impl Variant {
    async fn plain() -> Self {
        Self {
            name: "without this crate",
            client: connect(Tools, None).await,
            runs: None,
            took: Vec::new(),
        }
    }

    async fn with(name: &'static str, callbacks: Callbacks) -> Self {
        let tools = ToolClient::new();
        let server = ToolServer::new(Tools, callbacks.clone());
        Self {
            name,
            client: connect(server, Some(&tools)).await,
            runs: Some((tools, callbacks)),
            took: Vec::new(),
        }
    }

    async fn call(&self, tool: &'static str) {
        let params = params(tool);
        let result = match &self.runs {
            None => self.client.call_tool(params).await.ok(),
            Some((tools, callbacks)) => tools.call_tool(&self.client, params, callbacks).await.ok(),
        };
        black_box(result.expect("no call fails"));
    }

    fn nth(&self, of: usize) -> f64 {
        self.took[self.took.len() / of].as_secs_f64() * 1e6
    }
}

async fn measure(tool: &'static str) {
    let nobody = Callbacks::new();
    let mut variants = [
        Variant::plain().await,
        Variant::with("nobody listens", nobody.clone()).await,
        Variant::with(
            "an inline handler",
            nobody.with::<callbacks::events::Events, _>(handler(Look).inline()),
        )
        .await,
        Variant::with("an async handler", nobody.with(LookAsync)).await,
        Variant::with(
            "an inline handler of progress, too",
            nobody
                .with::<callbacks::events::Events, _>(handler(Look).inline())
                .with::<events::Events, _>(handler(Look).inline()),
        )
        .await,
    ];
    for call in 0..WARM_UP + CALLS {
        for variant in &mut variants {
            let start = Instant::now();
            variant.call(tool).await;
            if call >= WARM_UP {
                variant.took.push(start.elapsed());
            }
        }
    }
    println!("{tool:42} p10 µs    p50 µs");
    for variant in &mut variants {
        variant.took.sort_unstable();
        let (p10, p50) = (variant.nth(10), variant.nth(2));
        println!("  {:40} {p10:6.1}    {p50:6.1}", variant.name);
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime starts");
    runtime.block_on(measure("add"));
    runtime.block_on(measure("steps"));
}
