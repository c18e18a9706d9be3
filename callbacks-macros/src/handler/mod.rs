//! `#[callback_handler]`, in two stages. The first keeps the user's block as it is and hands its
//! signatures to the table of the event set; the second, called by the table, knows all names.

mod check;
mod expand;
mod signatures;
mod table;

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use crate::arguments::HandlerArgs;
use crate::diagnostics::Diagnostics;
use signatures::Block;
use table::Input;

/// The first stage.
pub(crate) fn expand(args: TokenStream, item: &TokenStream) -> TokenStream {
    let call = call_table(args, item.clone()).unwrap_or_else(|error| error.to_compile_error());
    // The user's code stays whatever happens: an editor must never lose sight of it.
    quote!(#item #call)
}

fn call_table(args: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let block: Block = syn::parse2(item)?;
    let HandlerArgs { events } = HandlerArgs::parse(args)?;
    Ok(quote_spanned!(events.span()=> #events::__private::table! { { #events } #block }))
}

/// The second stage.
pub(crate) fn expand_with_table(input: TokenStream) -> TokenStream {
    let input: Input = match syn::parse2(input) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    let mut wrong = TokenStream::new();
    let methods: Vec<_> = input
        .block
        .methods
        .iter()
        .filter_map(|method| {
            let errors = Diagnostics::new();
            let checked = check::check(method, &input, &errors);
            // A method that is configured out cannot be wrong.
            let cfg = &method.cfg;
            for error in errors.finish() {
                wrong.extend(quote!(#(#cfg)* #error));
            }
            checked
        })
        .collect();
    if methods.is_empty() && wrong.is_empty() {
        let errors = Diagnostics::new();
        check::no_methods(&input, &errors);
        wrong.extend(errors.finish());
    }
    let impls = expand::expand(&input, &methods);
    quote!(#impls #wrong)
}
