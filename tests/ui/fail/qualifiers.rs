use callbacks::callback_handler;

struct Printer;

#[callback_handler]
impl Printer {
    unsafe fn on_llm_new_token(&self) {}
    const fn on_llm_end(&self) {}
    extern "C" fn on_llm_start(&self) {}
}

fn main() {}
