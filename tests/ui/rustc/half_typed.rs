use callbacks::{Callbacks, callback_handler};

struct Printer;

#[callback_handler]
impl Printer {
    fn on_llm_new_token(&self, token: &str) {
        let text = token.;
    }
}

fn main() {
    let _callbacks = Callbacks::new().with(Printer);
}
