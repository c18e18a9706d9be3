use callbacks::{LlmResult, callback_handler};

struct Printer;

#[callback_handler]
impl Printer {
    fn on_llm_new_token(&self, token: String) {
        print!("{token}");
    }

    async fn on_llm_end(&self, response: LlmResult) {
        print!("{}", response.text());
    }
}

fn main() {}
