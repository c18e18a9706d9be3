//! A line on the terminal for each of several requests that run at once.
//!
//! ```sh
//! cargo run --example progress --features progress
//! ```

use std::sync::Arc;

use callbacks::handlers::Progress;
use callbacks::{Callbacks, RunKind, Serialized};
use callbacks_examples::{ChatOpenAi, Shell};
use serde_json::json;

static PLANNER: Serialized = Serialized::new("planner");

type Error = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    // On standard error; where that is no terminal, there is nothing to see.
    let progress = Arc::new(Progress::new());
    let callbacks = Callbacks::new().with(progress.clone());
    let chat = |callbacks| ChatOpenAi::new().streaming(true).callbacks(callbacks);

    let plan = async {
        let planner = callbacks.chain_start(&PLANNER, json!("a joke"));
        let planner = planner.kind(RunKind::Agent).await?;
        Shell::new(planner.callbacks().clone()).run("ls").await?;
        let answer = chat(planner.callbacks().clone());
        let answer = answer.invoke("Tell me a joke").await?;
        planner.end(&json!(answer.text())).await?;
        // What is written beside the lines would break them.
        progress.suspend(|| println!("{}", answer.text()));
        Ok::<(), Error>(())
    };
    let (chinese, mars) = (chat(callbacks.clone()), chat(callbacks.clone()));
    let (planned, joke, life) = tokio::join!(
        plan,
        chinese.invoke("给我讲个笑话"),
        mars.invoke("Is there life on Mars?")
    );
    planned?;
    println!("{}", joke?.text());
    println!("{}", life.is_err());
    Ok(())
}
