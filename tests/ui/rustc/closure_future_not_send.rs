use std::sync::Mutex;

use callbacks::events::LlmEnd;
use callbacks::{Callbacks, on_async};

static TEXT: Mutex<String> = Mutex::new(String::new());

fn main() {
    let _callbacks = Callbacks::new().with(on_async(|event: &LlmEnd<'_>| {
        let answer = event.response.text().to_owned();
        async move {
            let mut text = TEXT.lock().unwrap();
            tokio::task::yield_now().await;
            text.push_str(&answer);
        }
    }));
}
