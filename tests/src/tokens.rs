//! A handler of a model's tokens, with a name.

use callbacks::callback_handler;

use crate::Log;

/// Writes the tokens of a model into its log, behind its name.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// Where to.
    pub log: Log,
    /// What to call it.
    pub name: &'static str,
}

#[callback_handler]
impl Tokens {
    fn on_llm_new_token(&self, token: &str) {
        self.log.add(format_args!("{} {token}", self.name));
    }
}
