use callbacks::callback_handler;

struct Printer;

#[callback_handler]
impl Printer {
    fn on_llm_new_token(&self, _token: &str, _run: u32) {}
}

fn main() {}
