use callbacks::Callbacks;
use callbacks::events::LlmNewToken;

fn main() {
    let _callbacks = Callbacks::new().with(|event: &LlmNewToken<'_>| print!("{}", event.token));
}
