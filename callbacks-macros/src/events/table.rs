//! The table of the event set: how the second stage of `#[callback_handler]` comes to know its names.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::{Ident, Visibility};

use super::model::Set;
use crate::types::imported;

/// `__private::table!(..)`: passes what it is given on to the second stage of
/// `#[callback_handler]`, together with the names of this set.
pub(super) fn table(set: &Set, place: &str) -> TokenStream {
    let (vis, name) = (&set.vis, &set.name);
    // `#[macro_export]` puts every table at the root of its crate, where its name must be unique.
    let mangled = format_ident!("__{}_events_{:016x}", name, fingerprint(set, place));
    // Rows are compared by their text: a span of this crate would only confuse.
    let plain = |ident: &Ident| {
        let mut ident = ident.clone();
        ident.set_span(Span::call_site());
        ident
    };
    let broken = set.broken.iter().map(plain);
    let rows = set.events.iter().map(|event| {
        let (method, ty) = (plain(&event.method), plain(event.name()));
        let fields = event.fields.iter().map(|field| &field.name);
        let lifetime = event.lifetime.as_ref().map(|_| quote!('_));
        let deprecated = event.attrs("deprecated");
        let reply = event.reply.as_ref().map(imported);
        let reply = reply.map(|reply| quote!(-> #reply));
        quote!(#(#deprecated)* #method = #ty [#lifetime] { #(#fields),* } #reply)
    });
    // A handler of a set without events is no mistake on top of that.
    let expansion = (!set.events.is_empty()).then(|| {
        quote! {
            $($set)*::__private::expand_handler! {
                { $($set)* } { #(#rows)* } { #(#broken),* } $($handler)*
            }
        }
    });
    let public = matches!(vis, Visibility::Public(_));
    let export = public.then(|| quote!(#[macro_export]));
    let reach = if public {
        quote!(pub)
    } else {
        quote!(pub(crate))
    };
    quote! {
        #[doc(hidden)]
        #export
        #[allow(unused_macros, non_local_definitions)]
        macro_rules! #mangled {
            ({ $($set:tt)* } $($handler:tt)*) => { #expansion };
        }
        #[doc(hidden)]
        #[allow(unused_imports)]
        #reach use #mangled as table;
    }
}

/// FNV-1a of the events and the place they stand at.
fn fingerprint(set: &Set, place: &str) -> u64 {
    let events = set
        .events
        .iter()
        .map(|event| event.item.to_token_stream().to_string());
    events
        .chain([place.to_owned()])
        .flat_map(String::into_bytes)
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
}
