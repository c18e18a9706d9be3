use callbacks::callback_handler;

struct Printer;

#[callback_handler(events = "callbacks::events")]
impl Printer {
    fn on_llm_new_token(&self) {}
}

fn main() {}
