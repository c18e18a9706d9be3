//! Collects every mistake of one expansion, so that all of them are reported at once.

use std::cell::RefCell;
use std::fmt::Display;

use proc_macro2::TokenStream;
use quote::ToTokens;

/// The mistakes found so far. Panics if dropped without being read: a mistake that is
/// found and then forgotten would compile.
pub(crate) struct Diagnostics {
    errors: RefCell<Option<Vec<syn::Error>>>,
}

impl Diagnostics {
    pub(crate) fn new() -> Self {
        Self {
            errors: RefCell::new(Some(Vec::new())),
        }
    }

    /// Reports `message`, underlining all of `tokens`.
    pub(crate) fn error(&self, tokens: impl ToTokens, message: impl Display) {
        if let Some(errors) = self.errors.borrow_mut().as_mut() {
            errors.push(syn::Error::new_spanned(tokens, message));
        }
    }

    /// Reports a mistake that was found elsewhere.
    pub(crate) fn report(&self, error: &syn::Error) {
        if let Some(errors) = self.errors.borrow_mut().as_mut() {
            errors.push(error.clone());
        }
    }

    /// How many mistakes were found so far.
    pub(crate) fn len(&self) -> usize {
        self.errors.borrow().as_ref().map_or(0, Vec::len)
    }

    /// One `compile_error!` for each mistake.
    pub(crate) fn finish(self) -> Vec<TokenStream> {
        let errors = self.errors.take().unwrap_or_default();
        errors.iter().map(syn::Error::to_compile_error).collect()
    }
}

impl Drop for Diagnostics {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.errors.borrow().is_none(), "forgotten diagnostics");
        }
    }
}
