//! `#[callback_events]`: model, check, expand.

mod check;
mod event;
mod expand;
mod fields;
mod model;
mod owned;
mod private;
mod table;
mod traits;

use proc_macro2::TokenStream;
use quote::quote;

use crate::arguments::EventsArgs;
use crate::diagnostics::Diagnostics;
use model::Set;

/// `place` tells apart two sets of the same name in one crate.
pub(crate) fn expand(args: TokenStream, item: &TokenStream, place: &str) -> TokenStream {
    let set = EventsArgs::parse(args).and_then(|args| Set::parse(args, item.clone()));
    let mut set = match set {
        Ok(set) => set,
        Err(error) => {
            let error = error.to_compile_error();
            return quote!(#item #error);
        }
    };
    let errors = Diagnostics::new();
    check::check(&mut set, &errors);
    let mut tokens = expand::expand(&set, place);
    tokens.extend(errors.finish());
    tokens
}
