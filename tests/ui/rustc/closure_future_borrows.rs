use callbacks::events::LlmEnd;
use callbacks::{Callbacks, on_async};

async fn save(_: &str) {}

fn main() {
    let _callbacks = Callbacks::new()
        .with(on_async(|event: &LlmEnd<'_>| save(event.response.text())))
        .with(on_async(|event: &LlmEnd<'_>| async { save(event.response.text()).await }))
        .with(on_async(|event: &LlmEnd<'_>| async move { save(event.response.text()).await }));
}
