use std::sync::Arc;

use callbacks::{Callbacks, callback_handler, handler};

struct Printer;

#[callback_handler]
impl Printer {
    fn on_llm_end(&self) {}
}

fn main() {
    let callbacks = Callbacks::new();
    let _ = callbacks.with(&Printer);
    let _ = callbacks.with(Box::new(Printer));
    let shared = Arc::new(Printer);
    let _ = callbacks.with(handler(&shared).inline());
}
