#![deny(warnings)]

use callbacks::{Callbacks, callback_handler};

/// Documented.
#[derive(Debug, Default)]
struct Printer {
    prefix: &'static str,
}

#[callback_handler]
impl Printer {
    const PREFIX: &str = "> ";

    fn new() -> Self {
        Self { prefix: Self::PREFIX }
    }

    /// Documented.
    #[inline]
    #[must_use = "attributes stay where they are"]
    pub fn shown(&self, token: &str) -> String {
        format!("{}{token}", self.prefix)
    }

    /// Much like handler methods, but words of their own.
    fn is_text(&self) -> bool {
        self.to_text().is_empty() && !self.no_retry()
    }

    fn to_text(&self) -> &str {
        self.prefix
    }

    fn no_retry(&self) -> bool {
        true
    }

    #[doc(alias = "token")]
    pub fn on_llm_new_token(&self, token: &str) {
        print!("{}", self.shown(token));
    }
}

fn main() {
    assert!(!Printer::new().is_text());
    let _callbacks = Callbacks::new().with(Printer::new());
}
