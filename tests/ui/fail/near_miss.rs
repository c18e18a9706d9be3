use callbacks::callback_handler;

struct Printer;

#[callback_handler]
impl Printer {
    fn new() -> Self {
        Printer
    }

    fn onllm_end(&self) {}

    fn on_llm_new_token(&self, token: &str) {
        print!("{token}");
    }
}

fn main() {
    Printer::new().onllm_end();
}
