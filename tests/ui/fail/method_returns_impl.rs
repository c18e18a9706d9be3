use std::fmt::Debug;

use callbacks::{LlmResult, callback_handler};

struct Printer;

#[callback_handler]
impl Printer {
    fn on_llm_end(&self, response: &LlmResult) -> impl Future<Output = ()> + Send {
        std::future::ready(drop(response.text().to_owned()))
    }

    fn on_llm_error(&self, error: &impl Debug) {
        println!("{error:?}");
    }
}

fn main() {}
