use callbacks::events::LlmEnd;
use callbacks::{Callbacks, on_async};

async fn save(_: &LlmEnd<'_>) {}

fn main() {
    let _callbacks = Callbacks::new().with(on_async(save));
}
