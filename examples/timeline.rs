//! A page on which the runs are bars on a time axis.
//!
//! ```sh
//! cargo run --example timeline -- timeline.html
//! ```

use std::env;
use std::time::Duration;

use callbacks::handlers::Timeline;
use callbacks::{Callbacks, RunError, RunKind, Serialized};
use callbacks_examples::ChatOpenAi;
use serde_json::json;
use tokio::time::sleep;

static PLANNER: Serialized = Serialized::new("planner");
static SEARCH: Serialized = Serialized::new("Search");
static SHELL: Serialized = Serialized::new("Shell");

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = env::args().nth(1).unwrap_or_else(|| "timeline.html".into());
    let callbacks = Callbacks::new().with(Timeline::new(&path)).tag("example");

    let inputs = json!({ "question": "Tell me a joke" });
    let planner = callbacks.chain_start(&PLANNER, &inputs);
    let planner = planner.kind(RunKind::Agent).await?;
    let inside = planner.callbacks();

    let (searched, looked) = tokio::join!(
        async {
            let search = inside.tool_start(&SEARCH, "jokes").await?;
            sleep(Duration::from_millis(30)).await;
            search.end(&json!(["an atom", "a physicist"])).await
        },
        async {
            let shell = inside.tool_start(&SHELL, "fortune").await?;
            shell.text("there may be no `fortune`").await?;
            sleep(Duration::from_millis(10)).await;
            shell.error(RunError::new("exit status 127")).await
        },
    );
    searched?;
    looked?;
    let chat = ChatOpenAi::new().streaming(true).callbacks(inside.clone());
    let joke = chat.invoke("Tell me a joke").await?;
    planner.end(&json!(joke.text())).await?;

    println!("open {path}");
    Ok(())
}
