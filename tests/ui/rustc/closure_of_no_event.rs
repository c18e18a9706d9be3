use callbacks::events::LlmEnd;
use callbacks::{Callbacks, Run, handler, on, on_async};

fn main() {
    let _callbacks = Callbacks::new()
        .with(on(|token: &str| print!("{token}")))
        .with(on(|event: LlmEnd<'_>| print!("{}", event.response.text())))
        .with(on(|event: &LlmEnd<'_>, run: Run<'_>| {
            print!("{} {}", run.name(), event.response.text());
        }))
        .with(handler(on(|| println!("an end"))).inline())
        .with(on_async(|token: &str| async {}));
}
