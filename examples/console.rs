//! What happens, on the terminal: indented as the runs are nested, and the tree of them at the end.
//!
//! ```sh
//! cargo run --example console
//! cargo run --example console -- --stream
//! ```

use std::env;

use callbacks::handlers::{StdoutHandler, StreamingStdout};
use callbacks::{Callbacks, RunError, RunKind, Serialized};
use callbacks_examples::ChatOpenAi;
use serde_json::json;

static PLANNER: Serialized = Serialized::new("planner");
static SHELL: Serialized = Serialized::new("Shell");

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    if env::args().any(|arg| arg == "--stream") {
        let callbacks = Callbacks::new().with(StreamingStdout::new());
        let chat = ChatOpenAi::new().streaming(true).callbacks(callbacks);
        chat.invoke("Tell me a joke").await?;
        return Ok(());
    }
    let callbacks = Callbacks::new().with(StdoutHandler::new());
    let inputs = json!({ "question": "Tell me a joke" });
    let planner = callbacks.chain_start(&PLANNER, &inputs);
    let planner = planner.kind(RunKind::Agent).await?;

    let shell = planner.callbacks().tool_start(&SHELL, "fortune").await?;
    shell.error(RunError::new("exit status 127")).await?;
    let chat = ChatOpenAi::new().callbacks(planner.callbacks().clone());
    let joke = chat.invoke("Tell me a joke").await?;
    planner.end(&json!(joke.text())).await?;
    Ok(())
}
