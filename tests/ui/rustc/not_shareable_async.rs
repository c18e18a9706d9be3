use std::rc::Rc;

use callbacks::{LlmResult, callback_handler};

struct Printer {
    prefix: Rc<str>,
}

#[callback_handler]
impl Printer {
    async fn on_llm_end(&self, response: &LlmResult) {
        print!("{}{}", self.prefix, response.text());
    }
}

fn main() {}
