//! The procedural macros of [`callbacks`](https://docs.rs/callbacks), which documents and re-exports
//! them. Nothing here is meant to be named from anywhere else.

mod arguments;
mod attributes;
mod diagnostics;
mod events;
mod handler;
mod lints;
mod names;
mod spans;
mod types;

use proc_macro::TokenStream;

/// Makes an event set out of a module of structs. Documented in the `callbacks` crate.
#[proc_macro_attribute]
pub fn callback_events(args: TokenStream, item: TokenStream) -> TokenStream {
    // Two sets of one name in one crate stand at two places, or come out of two calls of one
    // `macro_rules!`, which its hygiene tells apart: `#7` at the front of what is debugged.
    let here = proc_macro::Span::call_site();
    let debug = format!("{here:?}");
    let hygiene = debug.split(' ').next().unwrap_or_default();
    let place = format!("{}:{}:{}{hygiene}", here.file(), here.line(), here.column());
    events::expand(args.into(), &item.into(), &place).into()
}

/// Makes a handler out of an inherent impl block. Documented in the `callbacks` crate.
#[proc_macro_attribute]
pub fn callback_handler(args: TokenStream, item: TokenStream) -> TokenStream {
    handler::expand(args.into(), &item.into()).into()
}

/// The second stage of `callback_handler`, called by the table of the event set.
#[doc(hidden)]
#[proc_macro]
pub fn expand_handler(input: TokenStream) -> TokenStream {
    handler::expand_with_table(input.into()).into()
}
