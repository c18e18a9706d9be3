//! Writes the event set.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{
    Attribute, Expr, ExprLit, Ident, Lit, LitStr, Meta, MetaNameValue, Path, Type, Visibility,
};

use super::model::{Event, Set};
use super::owned::{self, owned};
use super::private::private;
use super::table::table;
use crate::names::is_odd_type;
use crate::spans::located;

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

impl Set {
    /// `<'a>`, if any event borrows.
    pub(super) fn generics(&self, lifetime: &TokenStream) -> Option<TokenStream> {
        let borrows = self.events.iter().any(|event| event.lifetime.is_some());
        borrows.then(|| quote!(<#lifetime>))
    }

    /// What the user allowed of the events, for what is made of all of them. Only then: a lint that is
    /// forbidden cannot be allowed.
    pub(super) fn lints(&self) -> TokenStream {
        let mut events = self.events.iter();
        let odd = events.any(|event| is_odd_type(&event.name().to_string()));
        let odd = odd.then(|| quote!(#[allow(non_camel_case_types)]));
        let mut events = self.events.iter();
        let hidden = events.any(|event| !matches!(event.item.vis, Visibility::Public(_)));
        let hidden = hidden.then(|| quote!(#[allow(private_interfaces)]));
        quote!(#odd #hidden)
    }

    /// What is made of all events uses those that are deprecated.
    pub(super) fn deprecated(&self) -> Option<TokenStream> {
        self.events.iter().find_map(Event::deprecated)
    }

    /// The decision events, with their indices.
    pub(super) fn decisions(&self) -> impl Iterator<Item = (&Event, u32)> {
        let numbered = self.events.iter().zip(0u32..);
        numbered.filter(|(event, _)| event.reply.is_some())
    }

    pub(super) fn has_decisions(&self) -> bool {
        self.decisions().next().is_some()
    }
}

/// What happens for another variant than that which is asked for, if there is one.
pub(super) fn other(is_there: bool, then: &TokenStream) -> Option<TokenStream> {
    is_there.then(|| quote!(_ => #then,))
}

impl Event {
    /// Where the event or a field is deprecated, or the user allowed it to hold what is. Only then: a lint
    /// that is forbidden cannot be allowed.
    pub(super) fn deprecated(&self) -> Option<TokenStream> {
        let fields = self.item.fields.iter().flat_map(|field| &field.attrs);
        let mut attrs = self.item.attrs.iter().chain(fields);
        let is_deprecated = |attr: &Attribute| {
            let path = attr.path();
            path.is_ident("deprecated")
                || (path.is_ident("allow") || path.is_ident("expect"))
                    && attr.to_token_stream().to_string().contains("deprecated")
        };
        attrs
            .any(is_deprecated)
            .then(|| quote!(#[allow(deprecated)]))
    }

    /// Its name, in docs.
    pub(super) fn shown(&self) -> Ident {
        self.name().unraw()
    }

    /// `Sold<'_>`, or `Tick` if it borrows nothing.
    fn ty(&self, lifetime: &TokenStream) -> TokenStream {
        let name = self.name();
        let generics = self.lifetime.as_ref().map(|_| quote!(<#lifetime>));
        quote!(#name #generics)
    }

    /// `Verdict`, or `()` if it is no decision event.
    fn reply(&self) -> TokenStream {
        self.reply
            .as_ref()
            .map_or_else(|| quote!(()), |reply| quote!(#reply))
    }

    /// What a handler answers that does nothing.
    fn go_on(&self, krate: &Path) -> TokenStream {
        if self.reply.is_none() {
            return quote!(());
        }
        let ty = self.ty(&quote!('_));
        quote!(#krate::__private::go_on::<#ty>())
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

fn event_impl(set: &Set, event: &Event, index: u32) -> TokenStream {
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

fn traits(set: &Set) -> TokenStream {
    let lints = set.lints();
    let krate = &set.args.krate;
    let methods = set.events.iter().map(|event| {
        let (doc, method, ty) = (method_doc(event), &event.method, event.ty(&quote!('_)));
        let (reply, go_on) = (event.reply(), event.go_on(krate));
        let deprecated = event.deprecated();
        quote! {
            #doc
            #deprecated
            fn #method(
                &self,
                event: &#ty,
                run: &#krate::Run<'_>,
            ) -> ::core::result::Result<#reply, #krate::BoxError> {
                let _ = (event, run);
                ::core::result::Result::Ok(#go_on)
            }
        }
    });
    let async_methods = set.events.iter().map(|event| {
        let (doc, method) = (method_doc(event), &event.method);
        let ty = event.ty(&quote!('fields));
        let fields = event.lifetime.as_ref().map(|_| quote!('fields,));
        let outlives = event.lifetime.as_ref().map(|_| quote!('fields: 'future,));
        let (reply, go_on) = (event.reply(), event.go_on(krate));
        let deprecated = event.deprecated();
        quote! {
            #doc
            #deprecated
            fn #method<'this, 'event, #fields 'run, 'info, 'future>(
                &'this self,
                event: &'event #ty,
                run: &'run #krate::Run<'info>,
            ) -> #krate::BoxFuture<'future, ::core::result::Result<#reply, #krate::BoxError>>
            where
                'this: 'future,
                'event: 'future,
                #outlives
                'run: 'future,
                'info: 'future,
                Self: 'future,
            {
                let _ = (event, run);
                ::std::boxed::Box::pin(::core::future::ready(::core::result::Result::Ok(#go_on)))
            }
        }
    });
    let exclusive_methods = set.events.iter().map(|event| {
        let (doc, method, ty) = (method_doc(event), &event.method, event.ty(&quote!('_)));
        let (reply, go_on) = (event.reply(), event.go_on(krate));
        let deprecated = event.deprecated();
        quote! {
            #doc
            #deprecated
            fn #method(
                &mut self,
                event: &#ty,
                run: &#krate::Run<'_>,
            ) -> ::core::result::Result<#reply, #krate::BoxError> {
                let _ = (event, run);
                ::core::result::Result::Ok(#go_on)
            }
        }
    });
    // Located at the module's name: there rustc points when it names one of these traits.
    let span = set.name.span().resolved_at(Span::call_site());
    quote_spanned! {span=>
        /// Handles the events of this set with plain methods, one for each event.
        ///
        /// `#[callback_handler]` implements it; to write it by hand, register with [`ByHand`].
        #lints
        pub trait CallbackHandler {
            /// The events to be called for. Default: all.
            fn interests(&self) -> #krate::Interests {
                #krate::Interests::ALL
            }
            #(#methods)*
        }

        /// Handles the events of this set with async methods, one for each event.
        ///
        /// `#[callback_handler]` implements it; to write it by hand, put `#[async_trait]` on the
        /// impl and register with [`ByHand`].
        #lints
        pub trait AsyncCallbackHandler {
            /// The events to be called for. Default: all.
            fn interests(&self) -> #krate::Interests {
                #krate::Interests::ALL
            }
            #(#async_methods)*
        }

        /// Handles the events of this set with plain methods that are never called two at once.
        ///
        /// `#[callback_handler]` implements it for a block with methods that take `&mut self`.
        #lints
        pub trait ExclusiveCallbackHandler {
            #(#exclusive_methods)*
        }
    }
}

/// The docs of the event are the docs of its handler method, where `Self` in a link is another.
fn method_doc(event: &Event) -> TokenStream {
    let name = event.shown();
    let docs = event.attrs("doc").map(|attr| {
        let mut attr = attr.clone();
        if let Meta::NameValue(MetaNameValue {
            value:
                Expr::Lit(ExprLit {
                    lit: Lit::Str(text),
                    ..
                }),
            ..
        }) = &mut attr.meta
        {
            let links = ["[`", "[", "("].iter().fold(text.value(), |docs, open| {
                docs.replace(&format!("{open}Self::"), &format!("{open}{name}::"))
            });
            *text = LitStr::new(&links, text.span());
        }
        attr
    });
    let default = match event.reply {
        Some(_) => "has no objection",
        None => "does nothing",
    };
    let note = format!(" Called for every [`{name}`]. Default: {default}.");
    quote!(#(#docs)* #[doc = ""] #[doc = #note])
}

fn by_hand(set: &Set) -> TokenStream {
    let krate = &set.args.krate;
    let elided = set.generics(&quote!('_));
    let view = set.generics(&quote!('e));
    let asks = set.has_decisions().then(|| {
        quote! {
            fn ask(&self, run: &#krate::Run<'_>, event: &AnyEvent #elided) -> #krate::Answer<Events> {
                __private::ask(&self.0, run, event)
            }

            fn ask_async<'a, 'e: 'a>(
                &'a self,
                run: &'a #krate::Run<'e>,
                event: &'a AnyEvent #view,
            ) -> #krate::BoxFuture<'a, #krate::Answer<Events>> {
                __private::ask_async(&self.0, run, event)
            }
        }
    });
    quote! {
        /// Registers a type that implements [`CallbackHandler`] and [`AsyncCallbackHandler`] by
        /// hand.
        #[derive(
            ::core::clone::Clone,
            ::core::marker::Copy,
            ::core::fmt::Debug,
            ::core::default::Default,
        )]
        pub struct ByHand<T>(pub T);

        impl<T> #krate::Deliver<Events> for ByHand<T>
        where
            T: CallbackHandler + AsyncCallbackHandler + 'static,
        {
            fn name(&self) -> &'static str {
                ::core::any::type_name::<T>()
            }

            fn interests(&self) -> #krate::Interests {
                CallbackHandler::interests(&self.0)
            }

            fn async_interests(&self) -> #krate::Interests {
                AsyncCallbackHandler::interests(&self.0)
            }

            fn deliver(&self, run: &#krate::Run<'_>, event: &AnyEvent #elided) -> #krate::Outcome {
                __private::deliver(&self.0, run, event)
            }

            fn deliver_async<'a, 'e: 'a>(
                &'a self,
                run: &'a #krate::Run<'e>,
                event: &'a AnyEvent #view,
            ) -> #krate::BoxFuture<'a, #krate::Outcome> {
                __private::deliver_async(&self.0, run, event)
            }

            #asks
        }

        impl<T> #krate::Handler<Events> for ByHand<T>
        where
            T: CallbackHandler
                + AsyncCallbackHandler
                + ::core::marker::Send
                + ::core::marker::Sync
                + 'static,
        {
            type Delivery = Self;

            fn register(self) -> #krate::Registered<Events, Self> {
                #krate::Registered::new(::std::sync::Arc::new(self))
            }
        }
    }
}
