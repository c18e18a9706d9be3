use callbacks::events::{LlmEnd, LlmNewToken, ToolRequest};
use callbacks::{Callbacks, handler, on, on_async};

fn main() {
    let _callbacks = Callbacks::new()
        .with(on(|event: &LlmNewToken<'_>| event.token.len()))
        .with(handler(on(|_: &ToolRequest<'_>| println!("a request"))).inline())
        .with(on(|_: &LlmEnd<'_>| -> Result<(), u8> { Ok(()) }))
        .with(on(|_: &LlmEnd<'_>| async {}))
        .with(on_async(|_: &LlmEnd<'_>| println!("an end")))
        .with(on_async(|_: &LlmEnd<'_>| async { 5 }));
}
