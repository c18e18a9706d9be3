use callbacks::callback_handler;

struct Printer;

#[callback_handler]
impl Printer {
    extern "C" fn on_llm_new_token(&self) {}
}

fn main() {}
