use callbacks::callback_handler;

struct Printer;

#[callback_handler]
impl Printer {
    async fn on_llm_new_token(&mut self) {}
}

fn main() {}
