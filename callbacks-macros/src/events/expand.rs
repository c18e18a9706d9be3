//! Writes the event set.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};

use super::model::{Event, Set};
use super::owned::{self, owned};
use super::table::table;

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
        return quote!(#(#attrs)* #vis mod #name { #(#items)* });
    }
    let structs = events.iter().map(|event| &event.item);
    let marker = marker(set);
    let any_event = any_event(set);
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
    fn generics(&self, lifetime: &TokenStream) -> Option<TokenStream> {
        let borrows = self.events.iter().any(|event| event.lifetime.is_some());
        borrows.then(|| quote!(<#lifetime>))
    }
}

impl Event {
    /// `Sold<'_>`, or `Tick` if it borrows nothing.
    fn ty(&self, lifetime: &TokenStream) -> TokenStream {
        let name = self.name();
        let generics = self.lifetime.as_ref().map(|_| quote!(<#lifetime>));
        quote!(#name #generics)
    }
}

fn marker(set: &Set) -> TokenStream {
    let krate = &set.args.krate;
    let (view, elided) = (set.generics(&quote!('a)), set.generics(&quote!('_)));
    let names = set.events.iter().map(Event::name).collect::<Vec<_>>();
    let methods = set.events.iter().map(|event| event.method.to_string());
    let indices = (0u32..).take(names.len());
    let make_owned = set.events.iter().map(owned::own);
    let borrow = set.events.iter().map(owned::view);
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

        #[allow(deprecated)]
        impl #krate::EventSet for Events {
            type Ref<'a> = AnyEvent #view;
            type Owned = owned::AnyEvent;
            const METHODS: &'static [&'static str] = &[#(#methods),*];

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
    let generics = set.generics(&quote!('a));
    let variants = set.events.iter().map(|event| {
        let (name, ty) = (event.name(), event.ty(&quote!('a)));
        let doc = format!(" A [`{name}`].");
        quote!(#[doc = #doc] #name(#ty))
    });
    quote! {
        /// Any event of this set.
        #[allow(deprecated)]
        #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug)]
        #[non_exhaustive]
        pub enum AnyEvent #generics {
            #(#variants),*
        }
    }
}

fn event_impl(set: &Set, event: &Event, index: u32) -> TokenStream {
    let krate = &set.args.krate;
    let (name, ty) = (event.name(), event.ty(&quote!('_)));
    let text = name.to_string();
    let elided = set.generics(&quote!('_));
    quote! {
        #[allow(deprecated)]
        impl #krate::Event for #ty {
            type Set = Events;
            const INDEX: u32 = #index;
            const NAME: &'static str = #text;

            fn view(&self) -> AnyEvent #elided {
                AnyEvent::#name(*self)
            }
        }
    }
}

fn traits(set: &Set) -> TokenStream {
    let krate = &set.args.krate;
    let methods = set.events.iter().map(|event| {
        let (doc, method, ty) = (method_doc(event), &event.method, event.ty(&quote!('_)));
        quote! {
            #doc
            #[allow(deprecated)]
            fn #method(
                &self,
                event: &#ty,
                run: &#krate::Run<'_>,
            ) -> ::core::result::Result<(), #krate::BoxError> {
                let _ = (event, run);
                ::core::result::Result::Ok(())
            }
        }
    });
    let async_methods = set.events.iter().map(|event| {
        let (doc, method) = (method_doc(event), &event.method);
        let ty = event.ty(&quote!('fields));
        let fields = event.lifetime.as_ref().map(|_| quote!('fields,));
        let outlives = event.lifetime.as_ref().map(|_| quote!('fields: 'future,));
        quote! {
            #doc
            #[allow(deprecated)]
            fn #method<'this, 'event, #fields 'run, 'info, 'future>(
                &'this self,
                event: &'event #ty,
                run: &'run #krate::Run<'info>,
            ) -> #krate::BoxFuture<'future, ::core::result::Result<(), #krate::BoxError>>
            where
                'this: 'future,
                'event: 'future,
                #outlives
                'run: 'future,
                'info: 'future,
                Self: 'future,
            {
                let _ = (event, run);
                ::std::boxed::Box::pin(::core::future::ready(::core::result::Result::Ok(())))
            }
        }
    });
    let exclusive_methods = set.events.iter().map(|event| {
        let (doc, method, ty) = (method_doc(event), &event.method, event.ty(&quote!('_)));
        quote! {
            #doc
            #[allow(deprecated)]
            fn #method(
                &mut self,
                event: &#ty,
                run: &#krate::Run<'_>,
            ) -> ::core::result::Result<(), #krate::BoxError> {
                let _ = (event, run);
                ::core::result::Result::Ok(())
            }
        }
    });
    // Located at the module's name: there rustc points when it names one of these traits.
    let span = set.name.span().resolved_at(Span::call_site());
    quote_spanned! {span=>
        /// Handles the events of this set with plain methods, one for each event.
        ///
        /// `#[callback_handler]` implements it; to write it by hand, register with [`ByHand`].
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
        pub trait ExclusiveCallbackHandler {
            #(#exclusive_methods)*
        }
    }
}

/// The docs of the event are the docs of its handler method.
fn method_doc(event: &Event) -> TokenStream {
    let docs = event.attrs("doc");
    let note = format!(
        " Called for every [`{}`]. Default: does nothing.",
        event.name()
    );
    quote!(#(#docs)* #[doc = ""] #[doc = #note])
}

fn by_hand(set: &Set) -> TokenStream {
    let krate = &set.args.krate;
    let elided = set.generics(&quote!('_));
    let view = set.generics(&quote!('e));
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

fn private(set: &Set, place: &str) -> TokenStream {
    let table = table(set, place);
    let krate = &set.args.krate;
    let (elided, view) = (set.generics(&quote!('_)), set.generics(&quote!('e)));
    let names = set.events.iter().map(Event::name).collect::<Vec<_>>();
    let methods = set
        .events
        .iter()
        .map(|event| &event.method)
        .collect::<Vec<_>>();
    quote! {
        /// What generated code needs, at the end of whatever path leads to this set.
        #[doc(hidden)]
        pub mod __private {
            pub use #krate::__private::*;

            #table

            pub fn deliver<H: super::CallbackHandler>(
                handler: &H,
                run: &#krate::Run<'_>,
                event: &super::AnyEvent #elided,
            ) -> #krate::Outcome {
                match event {
                    #(
                        super::AnyEvent::#names(event) => {
                            super::CallbackHandler::#methods(handler, event, run)
                        }
                    )*
                }
            }

            pub fn deliver_mut<H: super::ExclusiveCallbackHandler>(
                handler: &mut H,
                run: &#krate::Run<'_>,
                event: &super::AnyEvent #elided,
            ) -> #krate::Outcome {
                match event {
                    #(
                        super::AnyEvent::#names(event) => {
                            super::ExclusiveCallbackHandler::#methods(handler, event, run)
                        }
                    )*
                }
            }

            pub fn deliver_async<'a, 'e: 'a, H: super::AsyncCallbackHandler>(
                handler: &'a H,
                run: &'a #krate::Run<'e>,
                event: &'a super::AnyEvent #view,
            ) -> #krate::BoxFuture<'a, #krate::Outcome> {
                match event {
                    #(
                        super::AnyEvent::#names(event) => {
                            super::AsyncCallbackHandler::#methods(handler, event, run)
                        }
                    )*
                }
            }
        }
    }
}
