use callbacks::callback_handler;
use callbacks::events::LlmEnd;

struct Printer;

#[callback_handler]
impl Printer {
    fn on_llm_new_token(&self, event: &LlmEnd<'_>) {
        print!("{}", event.response.text());
    }
}

fn main() {}
