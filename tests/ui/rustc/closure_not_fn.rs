use callbacks::events::LlmNewToken;
use callbacks::{Callbacks, Run, on};

fn main() {
    let mut count = 0;
    let _callbacks = Callbacks::new().with(on(move |_: &LlmNewToken<'_>| count += 1));
    let mut seq = 0;
    let _callbacks = Callbacks::new().with(on(move |_: &LlmNewToken<'_>, run: &Run<'_>| seq = run.seq()));
}
