use callbacks::callback_handler;

struct Printer;

#[callback_handler]
impl Printer {
    const fn on_llm_new_token(&self) {}
}

fn main() {}
