//! An agent that calls a tool of an MCP server, in a process of its own: who runs what on either side,
//! and how far it is.
//!
//! ```sh
//! cargo run --manifest-path bridges/Cargo.toml --example library
//! ```
//!
//! The client writes to standard output, the server to standard error.

use std::error::Error;

use callbacks::handlers::StdoutHandler;
use callbacks::{BoxError, Callbacks, Document, RunKind, Serialized, callback_handler};
use callbacks_rmcp::{ProgressReporter, ToolClient, ToolServer, events};
use rmcp::handler::server::tool::Extension;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::CallToolRequestParams;
use rmcp::transport::{TokioChildProcess, stdio};
use rmcp::{ServiceExt, schemars, tool, tool_router};
use serde_json::json;
use tokio::process::Command;

struct Library;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Topic {
    /// What to look for.
    topic: String,
}

#[tool_router(server_handler)]
impl Library {
    #[tool(description = "Finds books about a topic")]
    async fn find(
        &self,
        Parameters(Topic { topic }): Parameters<Topic>,
        Extension(callbacks): Extension<Callbacks>,
        Extension(progress): Extension<ProgressReporter>,
    ) -> Result<String, String> {
        let mut found = Vec::new();
        for (shelf, done) in ["novels", "cookbooks"].into_iter().zip([1.0, 2.0]) {
            let books = look(shelf, &topic, &callbacks).await;
            found.extend(books.map_err(|error| error.to_string())?);
            let told = progress.report(done, 2.0, shelf).await;
            told.map_err(|error| error.to_string())?;
        }
        Ok(found.join(", "))
    }
}

/// Looks through a shelf, in a run inside that of the tool.
async fn look(shelf: &str, topic: &str, callbacks: &Callbacks) -> Result<Vec<String>, BoxError> {
    static SHELF: Serialized = Serialized::new("Shelf");
    let run = callbacks.retriever_start(&SHELF, topic).await?;
    let books = vec![format!("All about {topic}, {shelf}")];
    run.end(|| books.iter().map(Document::new).collect::<Vec<_>>())
        .await?;
    Ok(books)
}

struct ShowProgress;

#[callback_handler(events = events)]
impl ShowProgress {
    fn on_tool_progress(&self, progress: f64, total: Option<f64>, message: Option<&str>) {
        let (total, message) = (total.unwrap_or(f64::NAN), message.unwrap_or_default());
        println!("    {progress} of {total}: {message}");
    }
}

/// An agent with one thing on its mind.
async fn agent(callbacks: &Callbacks) -> Result<(), Box<dyn Error>> {
    static AGENT: Serialized = Serialized::new("Reader");
    let mut server = Command::new(std::env::current_exe()?);
    server.arg("--serve");

    let tools = ToolClient::new();
    let client = ().serve(tools.transport(TokioChildProcess::new(server)?)).await?;

    let agent = callbacks.chain_start(&AGENT, json!({ "topic": "tea" }));
    let agent = agent.kind(RunKind::Agent).await?;
    let arguments = json!({ "topic": "tea" });
    let find = CallToolRequestParams::new("find")
        .with_arguments(arguments.as_object().cloned().unwrap_or_default());
    let books = tools.call_tool(&client, find, agent.callbacks()).await?;
    agent.end(json!(books)).await?;

    client.cancel().await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    if std::env::args().any(|arg| arg == "--serve") {
        let callbacks = Callbacks::new().with(StdoutHandler::to(std::io::stderr()));
        let server = ToolServer::new(Library, callbacks);
        server.serve(stdio()).await?.waiting().await?;
        return Ok(());
    }
    let callbacks = Callbacks::new()
        .with(StdoutHandler::new())
        .with(ShowProgress);
    agent(&callbacks).await
}
