use std::sync::Mutex;

use callbacks::{LlmResult, callback_handler};

struct Printer {
    text: Mutex<String>,
}

#[callback_handler]
impl Printer {
    async fn on_llm_end(&self, response: &LlmResult) {
        let mut text = self.text.lock().unwrap();
        tokio::task::yield_now().await;
        text.push_str(response.text());
    }
}

fn main() {}
