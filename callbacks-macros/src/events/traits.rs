//! The traits that handlers implement, and how they are registered where that is done by hand.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Expr, ExprLit, Lit, LitStr, Meta, MetaNameValue, Path};

use super::model::{Event, Set};

pub(super) fn traits(set: &Set) -> TokenStream {
    let lints = set.lints();
    let krate = &set.args.krate;
    let methods = set.events.iter();
    let methods = methods.map(|event| plain_method(event, krate, &quote!(&self)));
    let exclusive_methods = set.events.iter();
    let exclusive_methods =
        exclusive_methods.map(|event| plain_method(event, krate, &quote!(&mut self)));
    let async_methods = set.events.iter().map(|event| async_method(event, krate));
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

fn plain_method(event: &Event, krate: &Path, receiver: &TokenStream) -> TokenStream {
    let (doc, method, ty) = (method_doc(event), &event.method, event.ty(&quote!('_)));
    let (reply, go_on) = (event.reply(), event.go_on(krate));
    let deprecated = event.deprecated();
    quote! {
        #doc
        #deprecated
        fn #method(
            #receiver,
            event: &#ty,
            run: &#krate::Run<'_>,
        ) -> ::core::result::Result<#reply, #krate::BoxError> {
            let _ = (event, run);
            ::core::result::Result::Ok(#go_on)
        }
    }
}

/// With the lifetimes that `#[async_trait]` writes, so that an impl under it fits.
fn async_method(event: &Event, krate: &Path) -> TokenStream {
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

pub(super) fn by_hand(set: &Set) -> TokenStream {
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
