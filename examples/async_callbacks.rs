//! Sync and async handlers of a streaming chat model.
//!
//! ```sh
//! cargo run --example async_callbacks
//! cargo run --example async_callbacks -- --lang zh
//! ```

use std::time::Duration;

use callbacks::{Callbacks, LlmResult, Message, Serialized, callback_handler};
use callbacks_examples::ChatOpenAi;
use tokio::time::sleep;

struct MyCustomSyncHandler;

#[callback_handler]
impl MyCustomSyncHandler {
    fn on_llm_new_token(&self, token: &str) {
        println!("Sync handler being called in a `thread_pool_executor`: token: {token}");
    }
}

struct MyCustomAsyncHandler {
    starting: &'static str,
    ending: &'static str,
}

#[callback_handler]
impl MyCustomAsyncHandler {
    /// Runs when the model starts.
    async fn on_llm_start(&self, serialized: Option<&Serialized>, prompts: &[String]) {
        println!("zzzz....");
        sleep(Duration::from_millis(300)).await;
        let _class_name = serialized.map(|serialized| &serialized.name);
        let _first_prompt = prompts.first();
        println!("{}", self.starting);
    }

    /// Runs when the model ends.
    async fn on_llm_end(&self, response: &LlmResult) {
        println!("zzzz....");
        sleep(Duration::from_millis(300)).await;
        let _text = response.text();
        println!("{}", self.ending);
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let chinese = std::env::args().skip(1).eq(["--lang", "zh"]);
    let (prompt, starting, ending) = if chinese {
        (
            "给我讲个笑话",
            "嗨！我刚醒来。您的llm正在启动",
            "嗨！我刚醒来。您的llm正在结束",
        )
    } else {
        (
            "Tell me a joke",
            "Hi! I just woke up. Your llm is starting",
            "Hi! I just woke up. Your llm is ending",
        )
    };

    let chat = ChatOpenAi::new().max_tokens(25).streaming(true).callbacks(
        Callbacks::new()
            .with(MyCustomSyncHandler)
            .with(MyCustomAsyncHandler { starting, ending }),
    );
    let result = chat.generate(&[vec![Message::human(prompt)]]).await?;

    println!("{}", serde_json::to_string_pretty(&result)?);
    Ok(())
}
