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

    /// Named after events, but nothing that is called for them.
    pub fn tool_start(&self) -> usize {
        self.prefix.len()
    }

    pub fn llm_end(&self, shown: bool) {
        assert!(!shown);
    }

    pub fn tool_request(&self) -> &str {
        self.prefix
    }

    pub fn llm_start() -> Self {
        Self::new()
    }

    pub fn handle_text(&self, text: &str) {
        print!("{}", self.shown(text));
    }

    pub fn handle_llm_new_token(&self, token: &str) {
        print!("{}", self.shown(token));
    }

    #[doc(alias = "token")]
    pub fn on_llm_new_token(&self, token: &str) {
        self.handle_llm_new_token(token);
    }
}

fn main() {
    assert!(!Printer::new().is_text());
    let _callbacks = Callbacks::new().with(Printer::new());
}
