use std::sync::Mutex;

use callbacks::callback_handler;

struct Log<T>(Mutex<Vec<T>>);

#[callback_handler]
impl<T: for<'t> From<&'t str>> Log<T> {
    fn on_llm_new_token(&self, token: &str) {
        self.0.lock().unwrap().push(token.into());
    }
}

fn main() {}
