use callbacks::{Callbacks, LlmResult, callback_handler};

struct Printer;

#[callback_handler]
impl Printer {
    fn on_llm_end(&self, response: &LlmResult) {
        print!("{}", response.text());
    }

    async fn on_llm_end(&self) {}
}

fn main() {
    let _ = Callbacks::new().with(Printer);
}
