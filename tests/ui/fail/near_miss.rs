use callbacks::callback_handler;

struct Printer;

#[callback_handler]
impl Printer {
    fn new() -> Self {
        Printer
    }

    fn onllm_end(&self) {}

    #[allow(non_snake_case)]
    fn onText(&self) {}

    fn on_llm_new_token(&self, token: &str) {
        print!("{token}");
    }
}

fn main() {
    Printer::new().onllm_end();
    Printer::new().onText();
}
