//! A run that is recorded in a file, and replayed to a handler that was not there.
//!
//! ```sh
//! cargo run --example json_lines -- run.jsonl
//! ```

use std::sync::Arc;

use callbacks::handlers::{JsonLines, replay};
use callbacks::{Callbacks, LlmResult, Run, callback_handler};
use callbacks_examples::ChatOpenAi;

/// Shows what it hears.
struct Printer;

#[callback_handler]
impl Printer {
    fn on_chat_model_start(&self, run: &Run<'_>) {
        println!("#{} {} starts", run.seq(), run.name());
    }

    fn on_llm_new_token(&self, token: &str) {
        print!("{token}|");
    }

    fn on_llm_end(&self, response: &LlmResult, run: &Run<'_>) {
        let tokens = response.usage().output_tokens.unwrap_or_default();
        println!("\n#{} {} ends: {tokens} tokens", run.seq(), run.name());
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).unwrap_or("run.jsonl".to_owned());
    // A file that is there is appended to.
    let recording = Arc::new(JsonLines::open(&path)?);
    let callbacks = Callbacks::new().with(recording.clone()).tag("prod");
    let chat = ChatOpenAi::new().streaming(true).callbacks(callbacks);
    chat.invoke("Tell me a joke").await?;
    println!("recorded, {} events lost", recording.lost());

    let replayed = replay(&path, &Callbacks::new().with(Printer)).await?;
    let open = replayed.open.len();
    println!("replayed {} events, {open} runs are open", replayed.events);
    Ok(())
}
