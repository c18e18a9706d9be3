use callbacks::callback_handler;

struct Printer;

#[callback_handler]
impl Printer {
    unsafe fn on_llm_new_token(&self) {}
}

fn main() {}
