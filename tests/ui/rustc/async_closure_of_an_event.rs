use callbacks::events::LlmEnd;
use callbacks::{Callbacks, on_async};

async fn save(_: &str) {}

fn main() {
    let _callbacks = Callbacks::new().with(on_async(async |event: &LlmEnd<'_>| {
        save(event.response.text()).await;
    }));
}
