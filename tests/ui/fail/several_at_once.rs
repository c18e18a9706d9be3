//! Eight mistakes in one block: each is reported, and nothing else.

use callbacks::{LlmResult, callback_handler};

struct Printer;

#[callback_handler]
impl Printer {
    fn on_llm_strat(&self) {}

    fn on_llm_end(&self, respnse: &LlmResult) {
        print!("{}", respnse.text());
    }

    fn on_llm_new_token(token: &str) {
        print!("{token}");
    }

    fn on_tool_end(&self, output: &callbacks::LlmResult) {
        print!("{}", output.text());
    }

    async fn on_chain_start(&mut self) {}

    fn on_text(&self, _text: &str) {}

    unsafe fn on_retry(&self) {}

    fn on_custom_event<T>(&self, name: &str) {
        print!("{name}");
    }
}

fn main() {}
