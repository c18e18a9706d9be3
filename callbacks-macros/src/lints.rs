//! The lints that generated code allows: only those that what the user wrote needs, for a lint that is
//! forbidden cannot be allowed.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Ident;

/// Where rustc would have a type called otherwise.
pub(crate) fn odd_types<'a>(names: impl IntoIterator<Item = &'a Ident>) -> Option<TokenStream> {
    let is_odd = |name: String| name.contains('_') || name.starts_with(char::is_lowercase);
    let mut names = names.into_iter().map(Ident::to_string);
    names
        .any(is_odd)
        .then(|| quote!(#[allow(non_camel_case_types)]))
}

/// Where rustc would have a field or a parameter called otherwise.
pub(crate) fn odd_fields<'a>(names: impl IntoIterator<Item = &'a Ident>) -> Option<TokenStream> {
    let is_odd = |name: String| name.chars().any(char::is_uppercase);
    let mut names = names.into_iter().map(Ident::to_string);
    names.any(is_odd).then(|| quote!(#[allow(non_snake_case)]))
}

/// Where what is used is deprecated.
pub(crate) fn deprecated(is_used: bool) -> Option<TokenStream> {
    is_used.then(|| quote!(#[allow(deprecated)]))
}

/// Where a field that is private to the module has to be seen from one around it.
pub(crate) fn scoped_fields(is_one: bool) -> Option<TokenStream> {
    is_one.then(|| quote!(#[allow(clippy::field_scoped_visibility_modifiers)]))
}

/// Where what is public holds what is not.
pub(crate) fn hidden(is_held: bool) -> Option<TokenStream> {
    is_held.then(|| quote!(#[allow(private_interfaces)]))
}
