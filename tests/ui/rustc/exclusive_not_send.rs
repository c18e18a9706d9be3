use std::rc::Rc;

use callbacks::callback_handler;

struct Counter {
    tokens: Rc<u32>,
}

#[callback_handler]
impl Counter {
    fn on_llm_new_token(&mut self) {
        self.tokens = Rc::new(*self.tokens + 1);
    }
}

fn main() {}
