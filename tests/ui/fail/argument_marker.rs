use callbacks::{Callbacks, callback_handler};

struct Printer;

#[callback_handler(events = callbacks::events::Events)]
impl Printer {
    fn on_llm_new_token(&self) {}
}

fn main() {
    let _ = Callbacks::new().with(Printer);
}
