//! `__private`, the module of a set that generated code goes through: the runtime, the table, and the
//! way from any event of the set to its method.

use proc_macro2::TokenStream;
use quote::quote;

use super::model::{Event, Set, other};
use super::table::table;

pub(super) fn private(set: &Set, place: &str) -> TokenStream {
    let table = table(set, place);
    let krate = &set.args.krate;
    let (elided, view) = (set.generics(&quote!('_)), set.generics(&quote!('e)));
    // A decision event is asked, and not delivered.
    let arms = |of: &TokenStream, nothing: &TokenStream| {
        let arm = |event: &Event| {
            let (name, method) = (event.name(), &event.method);
            if event.reply.is_some() {
                return quote!(super::AnyEvent::#name(_) => #nothing,);
            }
            quote! {
                super::AnyEvent::#name(event) => super::#of::#method(handler, event, run),
            }
        };
        set.events.iter().map(arm).collect::<TokenStream>()
    };
    let nothing = quote!(::core::result::Result::Ok(()));
    let plain = arms(&quote!(CallbackHandler), &nothing);
    let exclusive = arms(&quote!(ExclusiveCallbackHandler), &nothing);
    let nothing = quote!(::std::boxed::Box::pin(::core::future::ready(#nothing)));
    let futures = arms(&quote!(AsyncCallbackHandler), &nothing);
    let unused = set.events.iter().all(|event| event.reply.is_some());
    let unused = unused.then(|| quote!(let _ = (handler, run);));
    let asks = set.has_decisions().then(|| asks(set));
    quote! {
        /// What generated code needs, at the end of whatever path leads to this set.
        #[doc(hidden)]
        #[allow(clippy::pub_use)]
        pub mod __private {
            pub use #krate::__private::*;

            #table

            pub fn deliver<H: super::CallbackHandler>(
                handler: &H,
                run: &#krate::Run<'_>,
                event: &super::AnyEvent #elided,
            ) -> #krate::Outcome {
                #unused
                match event { #plain }
            }

            pub fn deliver_mut<H: super::ExclusiveCallbackHandler>(
                handler: &mut H,
                run: &#krate::Run<'_>,
                event: &super::AnyEvent #elided,
            ) -> #krate::Outcome {
                #unused
                match event { #exclusive }
            }

            pub fn deliver_async<'a, 'e: 'a, H: super::AsyncCallbackHandler>(
                handler: &'a H,
                run: &'a #krate::Run<'e>,
                event: &'a super::AnyEvent #view,
            ) -> #krate::BoxFuture<'a, #krate::Outcome> {
                #unused
                match event { #futures }
            }

            #asks
        }
    }
}

/// Calls the methods for the decision events, for their answers.
fn asks(set: &Set) -> TokenStream {
    let krate = &set.args.krate;
    let (elided, view) = (set.generics(&quote!('_)), set.generics(&quote!('e)));
    let arms = |of: &TokenStream, answer: &dyn Fn(TokenStream) -> TokenStream| {
        let arm = |(event, _): (&Event, u32)| {
            let (name, method) = (event.name(), &event.method);
            let answer = answer(quote!(super::AnyReply::#name(reply)));
            quote! {
                super::AnyEvent::#name(event) => {
                    let answered = super::#of::#method(handler, event, run);
                    #answer
                }
            }
        };
        set.decisions().map(arm).collect::<TokenStream>()
    };
    let at_once = |reply| {
        quote! {
            ::core::result::Result::map(answered, |reply| ::core::option::Option::Some(#reply))
        }
    };
    let plain = arms(&quote!(CallbackHandler), &at_once);
    let exclusive = arms(&quote!(ExclusiveCallbackHandler), &at_once);
    let futures = arms(&quote!(AsyncCallbackHandler), &|reply| {
        quote! {
            ::std::boxed::Box::pin(async move {
                let answered = answered.await;
                ::core::result::Result::map(answered, |reply| ::core::option::Option::Some(#reply))
            })
        }
    });
    let nothing = quote!(::core::result::Result::Ok(::core::option::Option::None));
    let is_there = set.decisions().count() < set.events.len();
    let other_future = quote!(::std::boxed::Box::pin(::core::future::ready(#nothing)));
    let (other, other_future) = (other(is_there, &nothing), other(is_there, &other_future));
    quote! {
        pub fn ask<H: super::CallbackHandler>(
            handler: &H,
            run: &#krate::Run<'_>,
            event: &super::AnyEvent #elided,
        ) -> #krate::Answer<super::Events> {
            match event {
                #plain
                #other
            }
        }

        pub fn ask_mut<H: super::ExclusiveCallbackHandler>(
            handler: &mut H,
            run: &#krate::Run<'_>,
            event: &super::AnyEvent #elided,
        ) -> #krate::Answer<super::Events> {
            match event {
                #exclusive
                #other
            }
        }

        pub fn ask_async<'a, 'e: 'a, H: super::AsyncCallbackHandler>(
            handler: &'a H,
            run: &'a #krate::Run<'e>,
            event: &'a super::AnyEvent #view,
        ) -> #krate::BoxFuture<'a, #krate::Answer<super::Events>> {
            match event {
                #futures
                #other_future
            }
        }
    }
}
