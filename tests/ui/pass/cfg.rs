#![deny(warnings)]

use callbacks::events::CallbackHandler;
use callbacks::{Interests, callback_handler};

struct Printer;

#[callback_handler]
impl Printer {
    #[cfg(any())]
    fn on_llm_new_token(&self, no_such_field: NoSuchType) {}

    #[cfg(any())]
    fn on_nothing_at_all(self) {}

    #[cfg(all())]
    fn on_text(&self) {}
}

#[callback_handler(events = callbacks::events)]
impl Silent {
    #[cfg(any())]
    async fn on_llm_end(&self) {}
}

struct Silent;

fn main() {
    assert_ne!(CallbackHandler::interests(&Printer), Interests::NONE);
    assert_eq!(CallbackHandler::interests(&Silent), Interests::NONE);
}
