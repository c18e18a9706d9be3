use std::cell::Cell;
use std::rc::Rc;

use callbacks::events::LlmNewToken;
use callbacks::{Callbacks, on};

fn main() {
    let prefix: Rc<str> = "> ".into();
    let count = Cell::new(0);
    let _callbacks = Callbacks::new()
        .with(on(move |event: &LlmNewToken<'_>| print!("{prefix}{}", event.token)))
        .with(on(move |_: &LlmNewToken<'_>| count.set(count.get() + 1)));
}
