//! Makes each event one of its set.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Type;
use syn::ext::IdentExt;
use syn::spanned::Spanned;

use super::model::{Event, Set, other};
use super::owned;
use crate::spans::located;

pub(super) fn event_impl(set: &Set, event: &Event, index: u32) -> TokenStream {
    let krate = &set.args.krate;
    let (name, ty, at) = (
        event.name(),
        event.ty(&quote!('fields)),
        event.ty(&quote!('event)),
    );
    let generics = event.lifetime.as_ref().map(|_| quote!(<'fields>));
    let shorter = set.generics(&quote!('view));
    let any = match event.lifetime {
        Some(_) => set.generics(&quote!('fields)),
        None => set.generics(&quote!('static)),
    };
    let text = name.unraw().to_string();
    let elided = set.generics(&quote!('_));
    let view = set.generics(&quote!('event));
    let reply = event.reply();
    let any_reply = if event.reply.is_some() {
        quote!(::core::option::Option::Some(AnyReply::#name(reply)))
    } else {
        quote!({
            let () = reply;
            ::core::option::Option::None
        })
    };
    let decision = event.reply.as_ref();
    let decision = decision.map(|reply| decision_impl(set, event, reply));
    let deprecated = event.deprecated();
    let other = other(set.events.len() > 1, &quote!(::core::option::Option::None));
    quote! {
        #deprecated
        impl #generics #krate::Event for #ty {
            type Set = Events;
            type At<'event> = #at;
            type Any = AnyEvent #any;
            type Reply = #reply;
            const INDEX: u32 = #index;
            const NAME: &'static str = #text;

            fn view(&self) -> AnyEvent #elided {
                AnyEvent::#name(*self)
            }

            #[inline]
            fn into_any(self) -> AnyEvent #any {
                AnyEvent::#name(self)
            }

            #[inline]
            fn any<'view>(any: &'view AnyEvent #any) -> &'view AnyEvent #shorter {
                any
            }

            fn of<'view, 'event>(
                any: &'view AnyEvent #view,
            ) -> ::core::option::Option<&'view Self::At<'event>>
            where
                'event: 'view,
            {
                match any {
                    AnyEvent::#name(event) => ::core::option::Option::Some(event),
                    #other
                }
            }

            fn any_reply(
                reply: Self::Reply,
            ) -> ::core::option::Option<<Events as #krate::EventSet>::Reply> {
                #any_reply
            }
        }
        #decision
    }
}

fn decision_impl(set: &Set, event: &Event, reply: &Type) -> TokenStream {
    let krate = &set.args.krate;
    let own = owned::own(event);
    let (name, ty) = (event.name(), event.ty(&quote!('_)));
    // Located at the reply: there rustc points if it is none.
    let head = located(quote!(impl #krate::DecisionEvent for #ty), reply.span());
    let deprecated = event.deprecated();
    let nothing = quote!(::core::option::Option::None);
    let other_event = other(set.events.len() > 1, &nothing);
    let other_reply = other(set.decisions().count() > 1, &nothing);
    quote! {
        #deprecated
        #head {
            type Owned = owned::#name;

            fn to_twin(&self) -> owned::#name {
                let event = self;
                #own
            }

            fn into_twin(any: owned::AnyEvent) -> ::core::option::Option<owned::#name> {
                match any {
                    owned::AnyEvent::#name(event) => ::core::option::Option::Some(event),
                    #other_event
                }
            }

            fn twin(any: &mut owned::AnyEvent) -> ::core::option::Option<&mut owned::#name> {
                match any {
                    owned::AnyEvent::#name(event) => ::core::option::Option::Some(event),
                    #other_event
                }
            }

            fn reply(any: AnyReply) -> ::core::option::Option<Self::Reply> {
                match any {
                    AnyReply::#name(reply) => ::core::option::Option::Some(reply),
                    #other_reply
                }
            }
        }
    }
}
