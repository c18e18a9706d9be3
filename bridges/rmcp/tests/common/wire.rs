//! Connections to a server over every transport: in memory, to a child process, and over HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use callbacks::testing::Recorder;
use callbacks::{Callbacks, handler};
use callbacks_rmcp::{CallError, ToolClient, events};
use rmcp::model::{
    CallToolResult, ClientCapabilities, ClientConfig, ElicitRequestParams, ElicitResult,
    ElicitationAction, ErrorData, Implementation, ProgressNotificationParam, ProtocolVersion,
    ReadResourceRequestParams, ResourceContents,
};
use rmcp::service::{
    ClientLifecycleMode, ClientServiceExt, NotificationContext, RequestContext, RunningService,
    ServiceExt,
};
use rmcp::transport::common::client_side_sse::NeverRetry;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{
    IntoTransport, StreamableHttpClientTransport, StreamableHttpServerConfig,
    StreamableHttpService, TokioChildProcess,
};
use rmcp::{ClientHandler, RoleClient, RoleServer, ServerHandler};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::runtime::Runtime;

use super::server::Probe;
use super::{Seen, params};

/// The argument with which a test program is a server on its standard input and output.
pub const SERVE: &str = "--serve";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    Memory,
    Stdio,
    /// With sessions, as protocols before 2026-07-28 have them.
    Http,
    /// Every request for itself.
    HttpWithoutSessions,
}

impl Wire {
    pub const ALL: [Self; 4] = [
        Self::Memory,
        Self::Stdio,
        Self::Http,
        Self::HttpWithoutSessions,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Stdio => "stdio",
            Self::Http => "http",
            Self::HttpWithoutSessions => "http_without_sessions",
        }
    }

    fn lifecycle(self) -> ClientLifecycleMode {
        match self {
            Self::HttpWithoutSessions => ClientLifecycleMode::Discover {
                preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            },
            _ => ClientLifecycleMode::Initialize,
        }
    }

    /// With runs on both sides.
    pub async fn connect(self) -> Connection {
        let tools = ToolClient::new();
        let probe = Probe::new();
        let (transport, server) = self.serve(probe.with_runs(), &["with runs"]).await;
        let client = transport.connect(self.lifecycle(), Some(&tools)).await;
        let recorder = Recorder::new();
        let progress = Recorder::of::<events::Events>();
        Connection {
            callbacks: Callbacks::new()
                .with(recorder.clone())
                .with(handler(progress.clone()).inline()),
            client,
            tools,
            recorder,
            progress,
            server,
            probe,
        }
    }

    /// Without this crate, on either side.
    pub async fn connect_plainly(self) -> (Client, Server) {
        let (transport, server) = self.serve(Probe::new(), &[]).await;
        (transport.connect(self.lifecycle(), None).await, server)
    }

    async fn serve(self, handler: impl ServerHandler + Clone, args: &[&str]) -> (Link, Server) {
        match self {
            Self::Memory => {
                let (here, there) = tokio::io::duplex(4096);
                let runtime = Runtime::new().unwrap();
                runtime.spawn(async move {
                    let service = handler.serve(there).await.unwrap();
                    service.waiting().await.unwrap();
                });
                (Link::Memory(here), Server(Some(runtime)))
            }
            Self::Stdio => {
                let mut command = Command::new(std::env::current_exe().unwrap());
                command.arg(SERVE).args(args);
                let child = TokioChildProcess::new(command).unwrap();
                (Link::Stdio(child), Server(None))
            }
            Self::Http | Self::HttpWithoutSessions => {
                let runtime = Runtime::new().unwrap();
                let listener = TcpListener::bind("127.0.0.1:0");
                let listener = runtime.spawn(listener).await.unwrap().unwrap();
                let uri = format!("http://{}/mcp", listener.local_addr().unwrap());
                let service = StreamableHttpService::new(
                    move || Ok(handler.clone()),
                    Arc::new(LocalSessionManager::default()),
                    StreamableHttpServerConfig::default(),
                );
                let router = axum::Router::new().nest_service("/mcp", service);
                runtime.spawn(async move { axum::serve(listener, router).await });
                (Link::Http(uri), Server(Some(runtime)))
            }
        }
    }
}

/// A server on a runtime of its own, with which it dies; or none, in a process of its own.
pub struct Server(Option<Runtime>);

impl Server {
    pub fn kill(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

enum Link {
    Memory(tokio::io::DuplexStream),
    Stdio(TokioChildProcess),
    Http(String),
}

impl Link {
    async fn connect(self, lifecycle: ClientLifecycleMode, tools: Option<&ToolClient>) -> Client {
        match self {
            Self::Memory(stream) => connect(stream, lifecycle, tools).await,
            Self::Stdio(child) => connect(child, lifecycle, tools).await,
            Self::Http(uri) => {
                let mut config = StreamableHttpClientTransportConfig::with_uri(uri);
                // By default it looks for a server that is gone for ever.
                config.retry_config = Arc::new(NeverRetry::default());
                let transport = StreamableHttpClientTransport::from_config(config);
                connect(transport, lifecycle, tools).await
            }
        }
    }
}

async fn connect<T, E, A: 'static>(
    transport: T,
    lifecycle: ClientLifecycleMode,
    tools: Option<&ToolClient>,
) -> Client
where
    T: IntoTransport<RoleClient, E, A>,
    E: std::error::Error + Send + Sync + 'static,
{
    let user = User::default();
    let connected = match tools {
        Some(tools) => {
            let transport = tools.transport(transport);
            user.serve_with_lifecycle(transport, lifecycle).await
        }
        None => user.serve_with_lifecycle(transport, lifecycle).await,
    };
    connected.unwrap()
}

/// A connection to a server that is served on the runtime of the test.
pub async fn connect_here(
    tools: &ToolClient,
    server: impl ServerHandler,
) -> (Client, RunningService<RoleServer, impl ServerHandler>) {
    let (here, there) = tokio::io::duplex(4096);
    let server = tokio::spawn(server.serve(there));
    let client = connect(here, ClientLifecycleMode::Initialize, Some(tools)).await;
    (client, server.await.unwrap().unwrap())
}

pub type Client = RunningService<RoleClient, User>;

/// The client's own handler: answers questions, and counts what progress it is told.
#[derive(Clone, Debug, Default)]
pub struct User {
    pub told: Arc<AtomicUsize>,
}

impl ClientHandler for User {
    fn get_info(&self) -> ClientConfig {
        let capabilities = ClientCapabilities::builder().enable_elicitation().build();
        ClientConfig::new(capabilities, Implementation::from_build_env())
    }

    async fn create_elicitation(
        &self,
        _request: ElicitRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let answer = json!({ "name": "a reader" });
        Ok(ElicitResult::new(ElicitationAction::Accept).with_content(answer))
    }

    async fn on_progress(
        &self,
        _progress: ProgressNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        self.told.fetch_add(1, Ordering::SeqCst);
    }
}

/// A client with runs, at a server with runs.
pub struct Connection {
    pub client: Client,
    pub tools: ToolClient,
    pub callbacks: Callbacks,
    pub recorder: Recorder,
    pub progress: Recorder<events::Events>,
    pub server: Server,
    /// The server, unless it is in another process.
    pub probe: Probe,
}

impl Connection {
    pub async fn call(
        &self,
        tool: &'static str,
        arguments: Value,
    ) -> Result<CallToolResult, CallError> {
        let params = params(tool, &arguments);
        self.tools
            .call_tool(&self.client, params, &self.callbacks)
            .await
    }

    /// What the server has seen, once so many of its runs of tools are over.
    pub async fn seen(&self, runs: usize) -> Seen {
        let request = ReadResourceRequestParams::new(format!("runs:{runs}"));
        let result = self.client.read_resource(request).await.unwrap();
        let [ResourceContents::TextResourceContents { text, .. }] = &result.contents[..] else {
            panic!("one text expected: {result:?}");
        };
        serde_json::from_str(text).unwrap()
    }

    /// Waits until the tool that is called has said that it runs.
    pub async fn entered(&self) {
        self.progress.until(|progress| !progress.is_empty()).await;
    }
}
