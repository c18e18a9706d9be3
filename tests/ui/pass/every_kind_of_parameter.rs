#![deny(warnings)]

use callbacks::events::LlmNewToken;
use callbacks::{Chunk, LlmResult, ModelParams, Run, callback_handler};

struct Printer;

#[callback_handler]
impl Printer {
    // in any order, and not all of them
    fn on_llm_new_token(&self, choice: usize, run: &Run<'_>, event: &LlmNewToken<'_>, chunk: Option<&Chunk>) {
        let _ = (choice, run.seq(), event.token, chunk);
    }

    async fn on_llm_end<'r>(&self, response: &'r LlmResult, run: &Run<'_>, params: Option<&ModelParams>) {
        std::future::ready(()).await;
        let _ = (response, run.id(), params);
    }

    fn on_chain_start(&self) {}
}

fn main() {}
