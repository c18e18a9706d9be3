//! Under which conditions an item is there, told by `#[cfg(..)]` and `#[cfg_attr(..)]`.

use proc_macro2::{TokenStream, TokenTree};
use quote::quote;
use syn::{Attribute, Meta};

/// The conditions under which an item is there, each as a `#[cfg(..)]`.
pub(crate) fn conditions(attrs: &[Attribute]) -> Vec<Attribute> {
    let predicates = predicates(attrs).into_iter();
    predicates
        .map(|predicate| syn::parse_quote!(#[cfg(#predicate)]))
        .collect()
}

pub(crate) fn is_condition(attr: &Attribute) -> bool {
    !of(&attr.meta).is_empty()
}

/// What has to hold for an item to be there.
pub(crate) fn predicates(attrs: &[Attribute]) -> Vec<TokenStream> {
    attrs.iter().flat_map(|attr| of(&attr.meta)).collect()
}

/// `b` of `cfg(b)`, and of `cfg_attr(a, cfg(b))` that `a` is not, or `b` is.
fn of(meta: &Meta) -> Vec<TokenStream> {
    let Meta::List(list) = meta else {
        return Vec::new();
    };
    if list.path.is_ident("cfg") {
        return vec![list.tokens.clone()];
    }
    if !list.path.is_ident("cfg_attr") {
        return Vec::new();
    }
    let mut parts = split(list.tokens.clone()).into_iter();
    let on = parts.next().unwrap_or_default();
    let metas = parts.filter_map(|part| syn::parse2::<Meta>(part).ok());
    let inner = metas.flat_map(|meta| of(&meta));
    inner.map(|then| quote!(any(not(#on), #then))).collect()
}

/// What stands between commas.
fn split(tokens: TokenStream) -> Vec<TokenStream> {
    let mut parts = vec![TokenStream::new()];
    for token in tokens {
        match (&token, parts.last_mut()) {
            (TokenTree::Punct(punct), _) if punct.as_char() == ',' => {
                parts.push(TokenStream::new());
            }
            (_, Some(part)) => part.extend([token]),
            (_, None) => {}
        }
    }
    parts
}
