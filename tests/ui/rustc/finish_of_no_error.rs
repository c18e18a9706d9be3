use callbacks::{Callbacks, EmitError, Serialized};
use serde_json::Value;

struct Status(u16);

async fn call() -> Result<Value, Status> {
    Err(Status(503))
}

async fn tool(callbacks: &Callbacks) -> Result<(), EmitError> {
    static TOOL: Serialized = Serialized::new("MyTool");
    let run = callbacks.tool_start(&TOOL, "input").await?;
    let output = call().await;
    run.finish(output.as_ref()).await
}

async fn stopped(callbacks: &Callbacks) -> Result<(), EmitError> {
    static TOOL: Serialized = Serialized::new("MyTool");
    let run = callbacks.tool_start(&TOOL, "input").await?;
    run.error(Status(503)).await
}

fn main() {}
