use callbacks::callback_handler;

struct Printer;

#[callback_handler]
impl Printer {
    fn on_llm_new_token(&self) {}
}

#[callback_handler]
impl Printer {
    fn on_llm_end(&self) {}
}

fn main() {}
