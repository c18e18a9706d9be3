//! Writes the event set.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;

use super::event::event_impl;
use super::model::{Event, Set};
use super::owned::{self, owned};
use super::private::private;
use super::table::table;
use super::traits::{by_hand, traits};

pub(crate) fn expand(set: &Set, place: &str) -> TokenStream {
    let Set {
        attrs,
        vis,
        name,
        events,
        items,
        ..
    } = set;
    if events.is_empty() {
        let table = table(set, place);
        return quote! {
            #(#attrs)*
            #vis mod #name {
                #(#items)*
                #[doc(hidden)]
                pub mod __private { #table }
            }
        };
    }
    let structs = events.iter().map(|event| &event.item);
    let marker = marker(set);
    let any_event = any_event(set);
    let any_reply = any_reply(set);
    let event_impls = events
        .iter()
        .zip(0u32..)
        .map(|(event, index)| event_impl(set, event, index));
    let traits = traits(set);
    let by_hand = by_hand(set);
    let owned = owned(set);
    let private = private(set, place);
    quote! {
        #(#attrs)*
        #vis mod #name {
            #(#items)*
            #(
                #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
                #structs
            )*
            #marker
            #any_event
            #any_reply
            #(#event_impls)*
            #traits
            #by_hand
            #owned
            #private
        }
    }
}

fn marker(set: &Set) -> TokenStream {
    let krate = &set.args.krate;
    let deprecated = set.deprecated();
    let (view, elided) = (set.generics(&quote!('a)), set.generics(&quote!('_)));
    let names = set.events.iter().map(Event::name).collect::<Vec<_>>();
    let methods = set.events.iter().map(|event| event.method.to_string());
    let indices = (0u32..).take(names.len());
    let make_owned = set.events.iter().map(owned::own);
    let borrow = set.events.iter().map(owned::view);
    let reply = if set.has_decisions() {
        quote!(AnyReply)
    } else {
        quote!(::core::convert::Infallible)
    };
    let decisions = set.decisions().map(|(_, index)| index);
    let adapt = set.args.adapt.as_ref().map(|adapt| {
        quote! {
            fn adapt(
                delivery: ::std::sync::Arc<
                    dyn #krate::Deliver<Self> + ::core::marker::Send + ::core::marker::Sync,
                >,
            ) -> ::std::sync::Arc<
                dyn #krate::Deliver<Self> + ::core::marker::Send + ::core::marker::Sync,
            > {
                #adapt(delivery)
            }
        }
    });
    quote! {
        /// The event set of this module, as a type.
        #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
        pub enum Events {}

        #deprecated
        impl #krate::EventSet for Events {
            type Ref<'a> = AnyEvent #view;
            type Owned = owned::AnyEvent;
            type Reply = #reply;
            const METHODS: &'static [&'static str] = &[#(#methods),*];
            const DECISIONS: #krate::Interests = #krate::Interests::of(&[#(#decisions),*]);

            fn index(event: &AnyEvent #elided) -> u32 {
                match event {
                    #(AnyEvent::#names(_) => #indices,)*
                }
            }

            fn own(event: &AnyEvent #elided) -> owned::AnyEvent {
                match event {
                    #(AnyEvent::#names(event) => owned::AnyEvent::#names(#make_owned),)*
                }
            }

            fn view(event: &owned::AnyEvent) -> AnyEvent #elided {
                match event {
                    #(owned::AnyEvent::#names(event) => AnyEvent::#names(#borrow),)*
                }
            }
            #adapt
        }
    }
}

fn any_event(set: &Set) -> TokenStream {
    let deprecated = set.deprecated();
    let lints = set.lints();
    let generics = set.generics(&quote!('a));
    let variants = set.events.iter().map(|event| {
        let (name, ty) = (event.name(), event.ty(&quote!('a)));
        let doc = format!(" A [`{}`].", event.shown());
        quote!(#[doc = #doc] #name(#ty))
    });
    quote! {
        /// Any event of this set.
        #lints
        #deprecated
        #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
        #[non_exhaustive]
        pub enum AnyEvent #generics {
            #(#variants),*
        }
    }
}

/// The answers to all decision events of the set.
fn any_reply(set: &Set) -> Option<TokenStream> {
    let lints = set.lints();
    let names = set.decisions().map(|(event, _)| event.name());
    let names = names.collect::<Vec<_>>();
    let texts = names.iter().map(|name| name.unraw().to_string());
    let replies = set.decisions().map(|(event, _)| event.reply());
    let docs = texts
        .clone()
        .map(|name| format!(" An answer to [`{name}`]."));
    set.has_decisions().then(|| {
        quote! {
            /// An answer to any decision event of this set.
            #lints
            #[non_exhaustive]
            pub enum AnyReply {
                #(#[doc = #docs] #names(#replies)),*
            }

            impl ::core::fmt::Debug for AnyReply {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    f.write_str(match self {
                        #(Self::#names(_) => #texts,)*
                    })
                }
            }
        }
    })
}
