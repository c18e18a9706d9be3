use std::sync::Mutex;

use callbacks::callback_handler;

struct Log<T>(Mutex<Vec<T>>);

#[callback_handler]
impl<T: for<'t> From<&'t str>> Log<T> {
    fn on_llm_new_token(&self, token: &str) {
        self.0.lock().unwrap().push(token.into());
    }
}

struct Shown<T>(T);

// The help names the bounds, but not the place: nothing of the block is there to add them to.
#[callback_handler]
impl<T> Shown<T> {
    fn on_llm_end(&self) {}
}

fn main() {}
