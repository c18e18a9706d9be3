//! What attributes say of an item that holds for what is made of it as well: under which conditions it is
//! there, and which lints are allowed on it. Conditional ones are followed.

use proc_macro2::{TokenStream, TokenTree};
use quote::quote;
use syn::{Attribute, Meta, MetaList};

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
    let (on, metas) = parts(list);
    let inner = metas.iter().flat_map(of);
    inner.map(|then| quote!(any(not(#on), #then))).collect()
}

/// `a`, and `b` and `c`, of `cfg_attr(a, b, c)`.
fn parts(list: &MetaList) -> (TokenStream, Vec<Meta>) {
    let mut parts = split(list.tokens.clone()).into_iter();
    let on = parts.next().unwrap_or_default();
    let metas = parts.filter_map(|part| syn::parse2(part).ok());
    (on, metas.collect())
}

/// The lints that are allowed on an item. What is expected of the user's item is not found a second time.
pub(crate) fn allowed(attrs: &[Attribute]) -> Vec<Attribute> {
    fn of(meta: &Meta) -> Vec<TokenStream> {
        let Meta::List(list) = meta else {
            return Vec::new();
        };
        let lints = &list.tokens;
        if list.path.is_ident("allow") || list.path.is_ident("expect") {
            return vec![quote!(allow(#lints))];
        }
        if !list.path.is_ident("cfg_attr") {
            return Vec::new();
        }
        let (on, metas) = parts(list);
        let inner = metas.iter().flat_map(of);
        inner.map(|then| quote!(cfg_attr(#on, #then))).collect()
    }

    let metas = attrs.iter().flat_map(|attr| of(&attr.meta));
    metas.map(|meta| syn::parse_quote!(#[#meta])).collect()
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
