use std::rc::Rc;

use callbacks::callback_handler;

struct Printer {
    prefix: Rc<str>,
}

#[callback_handler]
impl Printer {
    fn on_llm_new_token(&self, token: &str) {
        print!("{}{token}", self.prefix);
    }
}

fn main() {}
