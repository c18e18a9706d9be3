#![deny(warnings)]

use callbacks::events::{CallbackHandler, Text};
use callbacks::{Callbacks, Event, Interests, callback_handler};

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

/// Each of them is gone, so the handler hears one event.
struct Conditional;

#[callback_handler]
impl Conditional {
    #[cfg_attr(all(), cfg(any()))]
    fn on_llm_start(&self, event: &LlmStart<'_>, run: &Run<'_>) -> Result<(), BoxError> {
        Ok(())
    }

    #[cfg_attr(all(), inline, cfg_attr(all(), must_use, cfg(any())))]
    fn on_llm_end(&self, no_such_field: NoSuchType) {}

    #[cfg_attr(any(), cfg(any()))]
    fn on_text(&self) {}
}

/// The method that would make it exclusive is gone.
struct Shared;

#[callback_handler]
impl Shared {
    #[cfg(any())]
    fn on_text(&mut self) {}

    #[cfg(not(any()))]
    fn on_text(&self) {}

    async fn on_llm_end(&self) {}
}

/// One of those that make it exclusive is there.
struct Mutable(std::cell::Cell<u32>);

#[callback_handler]
impl Mutable {
    #[cfg(any())]
    fn on_llm_start(&mut self) {}

    #[cfg(all())]
    #[cfg_attr(all(), cfg(all()))]
    fn on_text(&mut self) {
        self.0.set(0);
    }

    #[cfg(any())]
    async fn on_llm_end(&self) {}
}

/// Nothing is left of it.
struct Gone;

#[callback_handler]
impl Gone {
    #[cfg(any())]
    fn on_text(&mut self) {}
}

fn main() {
    let shared = std::sync::Arc::new(Shared);
    let _ = Callbacks::new().with(shared).with(Mutable(Default::default())).with(Gone);
    assert_ne!(CallbackHandler::interests(&Printer), Interests::NONE);
    assert_eq!(CallbackHandler::interests(&Silent), Interests::NONE);
    assert_eq!(CallbackHandler::interests(&Conditional), Interests::of(&[Text::INDEX]));
}
