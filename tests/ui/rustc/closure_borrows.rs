use std::sync::Mutex;

use callbacks::events::LlmNewToken;
use callbacks::{Callbacks, on};

fn main() {
    let text = Mutex::new(String::new());
    let _callbacks = Callbacks::new().with(on(|event: &LlmNewToken<'_>| {
        text.lock().unwrap().push_str(event.token);
    }));
}
