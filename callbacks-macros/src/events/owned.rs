//! The owned twins of the events, and the way there and back.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::visit_mut::{self, VisitMut};
use syn::{Ident, Path, PathSegment, Token, Type};

use super::model::{Event, Holds, Set};
use crate::names::{is_odd_field, is_odd_type};

pub(super) fn owned(set: &Set) -> TokenStream {
    let krate = &set.args.krate;
    let serde = set.args.serde.then(|| {
        let path = quote!(#krate::__private::serde)
            .to_string()
            .replace(' ', "");
        quote! {
            #[derive(#krate::__private::serde::Serialize, #krate::__private::serde::Deserialize)]
            #[serde(crate = #path)]
        }
    });
    let names = set.events.iter().map(Event::name).collect::<Vec<_>>();
    let structs = set.events.iter().map(|event| {
        let name = event.name();
        let link = event.shown();
        let doc = format!(" The owned twin of [`{link}`](super::{link}).");
        let fields = event.fields.iter().map(|field| {
            let (field, ty) = (&field.name, owned_type(&field.holds));
            // The field's own docs may link to what is near the event.
            let shown = field.unraw();
            let doc = format!(" See [`{link}::{shown}`](super::{link}::{shown}).");
            quote!(#[doc = #doc] pub #field: #ty)
        });
        let mut names = event.fields.iter().map(|field| field.name.to_string());
        let odd_field = names.any(|name| is_odd_field(&name));
        let odd_field = odd_field.then(|| quote!(#[allow(non_snake_case)]));
        let odd = is_odd_type(&name.to_string());
        let odd = odd.then(|| quote!(#[allow(non_camel_case_types)]));
        quote! {
            #[doc = #doc]
            #odd #odd_field
            #[derive(::core::clone::Clone, ::core::fmt::Debug)]
            #serde
            pub struct #name { #(#fields),* }
        }
    });
    let shown = set.events.iter().map(Event::shown);
    let docs = shown.map(|name| format!(" A [`{name}`]."));
    let lints = set.lints();
    quote! {
        /// The events of this set as values that own their fields.
        pub mod owned {
            #[allow(unused_imports)]
            use super::*;

            #(#structs)*

            /// Any event of the set, owned.
            #lints
            #[derive(::core::clone::Clone, ::core::fmt::Debug)]
            #serde
            #[non_exhaustive]
            pub enum AnyEvent {
                #(#[doc = #docs] #names(#names)),*
            }
        }
    }
}

/// The type of a field of an owned twin, as written one module further down.
fn owned_type(holds: &Holds) -> TokenStream {
    let (Holds::Borrowed(ty) | Holds::Optional(ty) | Holds::Copied(ty)) = holds;
    let mut ty = ty.clone();
    Deeper.visit_type_mut(&mut ty);
    let owned = match (&ty, holds) {
        (_, Holds::Copied(_)) => quote!(#ty),
        (Type::Slice(slice), _) => {
            let elem = &slice.elem;
            quote!(::std::vec::Vec<#elem>)
        }
        (Type::Path(path), _) if path.path.is_ident("str") => quote!(::std::string::String),
        _ => quote!(<#ty as ::std::borrow::ToOwned>::Owned),
    };
    match holds {
        Holds::Optional(_) => quote!(::core::option::Option<#owned>),
        Holds::Borrowed(_) | Holds::Copied(_) => owned,
    }
}

/// Rewrites `self::` and `super::` paths for use one module further down.
struct Deeper;

impl VisitMut for Deeper {
    fn visit_path_mut(&mut self, path: &mut Path) {
        visit_mut::visit_path_mut(self, path);
        if path.leading_colon.is_some() {
            return;
        }
        let Some(first) = path.segments.first_mut() else {
            return;
        };
        let up: Ident = Token![super](first.ident.span()).into();
        if first.ident == "self" {
            first.ident = up;
        } else if first.ident == "super" {
            path.segments.insert(0, PathSegment::from(up));
        }
    }
}

/// `event`, copied: `owned::Sold { item: ToOwned::to_owned(event.item), count: event.count }`
pub(super) fn own(event: &Event) -> TokenStream {
    convert(event, own_field, &quote!(owned::))
}

/// `event`, borrowed again from its copy.
pub(super) fn view(event: &Event) -> TokenStream {
    convert(event, view_field, &quote!())
}

fn convert(
    event: &Event,
    field: fn(&Ident, &Holds) -> TokenStream,
    at: &TokenStream,
) -> TokenStream {
    let name = event.name();
    if event.fields.is_empty() {
        return quote!(#at #name {});
    }
    let names = event.fields.iter().map(|field| &field.name);
    let values = event.fields.iter().map(|f| field(&f.name, &f.holds));
    quote!(#at #name { #(#names: #values),* })
}

fn own_field(name: &Ident, holds: &Holds) -> TokenStream {
    match holds {
        Holds::Borrowed(_) => quote!(::std::borrow::ToOwned::to_owned(event.#name)),
        Holds::Optional(_) => {
            quote!(::core::option::Option::map(event.#name, ::std::borrow::ToOwned::to_owned))
        }
        Holds::Copied(_) => quote!(event.#name),
    }
}

fn view_field(name: &Ident, holds: &Holds) -> TokenStream {
    match holds {
        Holds::Borrowed(_) => quote!(::core::borrow::Borrow::borrow(&event.#name)),
        Holds::Optional(_) => quote! {
            ::core::option::Option::map(
                ::core::option::Option::as_ref(&event.#name),
                ::core::borrow::Borrow::borrow,
            )
        },
        Holds::Copied(_) => quote!(event.#name),
    }
}
