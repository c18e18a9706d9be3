//! The owned twins of the events, and the way there and back.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::visit_mut::{self, VisitMut};
use syn::{Fields, Ident, Path, PathSegment, Token, Type, Visibility, parse_quote};

use super::model::{Event, Holds, Set};
use crate::lints;

pub(super) fn owned(set: &Set) -> TokenStream {
    let krate = &set.args.krate;
    let serde = set.args.serde.then(|| {
        quote! {
            #[derive(__serde::Serialize, __serde::Deserialize)]
            #[serde(crate = "__serde")]
        }
    });
    // By a name, for serde wants text, and `$crate` cannot be written in one.
    let import = set
        .args
        .serde
        .then(|| quote!(use #krate::__private::serde as __serde;));
    let names = set.events.iter().map(Event::name).collect::<Vec<_>>();
    let structs = set.events.iter().map(|event| {
        let name = event.name();
        let link = event.shown();
        let doc = format!(" The owned twin of [`{link}`](super::{link}).");
        let fields = event.fields.iter().map(|field| {
            let (vis, ty) = (deeper(&field.vis), owned_type(&field.holds));
            let field = &field.name;
            // The field's own docs may link to what is near the event.
            let shown = field.unraw();
            let doc = format!(" See [`{link}::{shown}`](super::{link}::{shown}).");
            quote!(#[doc = #doc] #vis #field: #ty)
        });
        // Who writes a value of it writes that of the event, but for what the fields own.
        let body = if matches!(event.item.fields, Fields::Unit) {
            quote!(;)
        } else {
            quote!({ #(#fields),* })
        };
        let vis = deeper(&event.item.vis);
        let odd = lints::odd_types([name]);
        let odd_fields = lints::odd_fields(event.fields.iter().map(|field| &field.name));
        let mut fields_of_event = event.fields.iter();
        let scoped = fields_of_event.any(|field| matches!(field.vis, Visibility::Inherited));
        let scoped = lints::scoped_fields(scoped);
        quote! {
            #[doc = #doc]
            #odd #odd_fields #scoped
            #[derive(::core::clone::Clone, ::core::fmt::Debug)]
            #serde
            #vis struct #name #body
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
            #import

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

/// The same visibility, as written one module further down: a twin is seen where its event is.
fn deeper(vis: &Visibility) -> Visibility {
    match vis {
        Visibility::Inherited => parse_quote!(pub(super)),
        Visibility::Restricted(to) => {
            let mut to = to.clone();
            Deeper.visit_path_mut(&mut to.path);
            if to.path.segments.len() > 1 {
                // `pub(in super::super)`, of `pub(super)`.
                to.in_token = Some(Token![in](to.pub_token.span));
            }
            Visibility::Restricted(to)
        }
        Visibility::Public(_) => vis.clone(),
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
