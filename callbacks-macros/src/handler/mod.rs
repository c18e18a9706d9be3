//! `#[callback_handler]`, in two stages. The first keeps the user's block as it is and hands its
//! signatures to the table of the event set; the second, called by the table, knows all names.

mod check;
mod expand;
mod glue;
mod lifetimes;
mod meant;
mod signatures;
mod table;

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use crate::arguments::{Guess, HandlerArgs};
use crate::diagnostics::Diagnostics;
use check::{Checked, check};
use signatures::Block;
use table::{Input, Kind};

/// The first stage.
pub(crate) fn expand(args: TokenStream, item: &TokenStream) -> TokenStream {
    let call = call_table(args, item.clone()).unwrap_or_else(|error| error.to_compile_error());
    // The user's code stays whatever happens: an editor must never lose sight of it.
    quote!(#item #call)
}

fn call_table(args: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let block: Block = syn::parse2(item)?;
    let (events, sure, mistake) = match HandlerArgs::parse(args.clone()) {
        Ok(HandlerArgs { events }) => (events, true, None),
        // A block that is no handler would be reported a second time where it is registered.
        Err(mistake) => {
            let Guess { events, sure } = Guess::new(args);
            (events, sure, Some(mistake.to_compile_error()))
        }
    };
    let guessed = (!sure).then(|| quote!(_));
    let table = quote_spanned! {events.span()=>
        #events::__private::table! { { #events } #guessed #block }
    };
    Ok(quote!(#mistake #table))
}

/// The second stage.
pub(crate) fn expand_with_table(input: TokenStream) -> TokenStream {
    let input: Input = match syn::parse2(input) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    let mut expanded = TokenStream::new();
    let mut methods = input.block.methods.iter();
    let mut nothing = !input.guessed && !methods.any(|method| input.is_broken(method));
    for kind in input.kinds() {
        let (methods, mistakes) = check_as(&kind, &input);
        nothing &= methods.is_empty() && mistakes.is_empty();
        expanded.extend(expand::expand(&kind, &input, &methods));
        if !input.guessed {
            expanded.extend(mistakes);
        }
    }
    if nothing {
        let errors = Diagnostics::new();
        meant::no_methods(&input, &errors);
        expanded.extend(errors.finish());
    }
    expanded
}

fn check_as<'a>(kind: &Kind, input: &'a Input) -> (Vec<Checked<'a>>, TokenStream) {
    let mut mistakes = TokenStream::new();
    let methods = input.block.methods.iter();
    let methods = methods.filter(|method| !input.is_broken(method));
    // Where the handler is not exclusive, what makes it so is configured out.
    let methods = methods.filter(|method| kind.exclusive || !input.is_exclusive(method));
    let repeated = check::repeated(input);
    let checked = methods.filter_map(|method| {
        let errors = Diagnostics::new();
        let checked = check(method, kind, input, &repeated, &errors);
        // A method that is configured out cannot be wrong.
        let (of_kind, own) = (&kind.cfg, &method.cfg);
        for error in errors.finish() {
            mistakes.extend(quote!(#of_kind #(#own)* #error));
        }
        checked
    });
    (checked.collect(), mistakes)
}
