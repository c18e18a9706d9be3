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

    #[doc(alias = "token")]
    pub fn on_llm_new_token(&self, token: &str) {
        print!("{}", self.shown(token));
    }
}

fn main() {
    let _callbacks = Callbacks::new().with(Printer::new());
}
