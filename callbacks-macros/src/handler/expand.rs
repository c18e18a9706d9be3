//! Writes the trait impls of a handler.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Token;
use syn::spanned::Spanned;

use super::check::Checked;
use super::glue::{async_method, plain_method};
use super::lifetimes::generics;
use super::table::{Input, Kind, Paths};
use crate::lints;
use crate::spans::located;

pub(crate) fn expand(kind: &Kind, input: &Input, methods: &[Checked<'_>]) -> TokenStream {
    let events = &input.events;
    let mut self_ty = input.block.self_ty.clone();
    let generics = generics(&input.block.generics, &mut self_ty);
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let impls = if kind.exclusive {
        exclusive(input, methods)
    } else {
        shared(input, methods)
    };
    let cfg = &kind.cfg;
    let params = methods.iter().flat_map(|checked| &checked.params);
    let odd = lints::odd_fields(params.map(|param| param.name));
    let mut rows = methods.iter().map(|checked| checked.row);
    let deprecated = lints::deprecated(rows.any(|row| !row.deprecated.is_empty()));
    // To clippy, what a macro made is not what the user wrote.
    let at = input.block.self_ty.span().resolved_at(Span::call_site());
    let impls = impls.into_iter().map(|(of, body)| {
        // Header and braces stand at the type's name: there rustc points when the type is not `Send`
        // or is a handler already.
        quote_spanned! {at=>
            #cfg
            #[automatically_derived]
            #odd
            #deprecated
            impl #impl_generics #events::#of for #self_ty #where_clause { #body }
        }
    });
    let warnings = methods
        .iter()
        .filter_map(|checked| deprecation(kind, checked));
    quote!(#(#impls)* #(#warnings)*)
}

/// A trait, from the path of the set on, and what stands in its impl.
type Impl = (TokenStream, TokenStream);

/// A handler with methods that take `&self`.
fn shared(input: &Input, methods: &[Checked<'_>]) -> Vec<Impl> {
    let paths = input.paths();
    let Paths { events, private } = &paths;
    let (futures, plain): (Vec<_>, Vec<_>) = methods
        .iter()
        .partition(|checked| checked.method.sig.asyncness.is_some());
    let asks = asks(&paths, &plain, &futures);
    let interests = interests(&plain, &paths);
    let async_interests = self::interests(&futures, &paths);
    let plain = plain
        .iter()
        .map(|checked| plain_method(checked, &paths, None));
    let futures = futures.iter().map(|checked| async_method(checked, &paths));
    let interests = quote! {
        fn interests(&self) -> #private::Interests { #interests }
    };
    let async_interests = quote! {
        fn interests(&self) -> #private::Interests { #async_interests }
    };
    let deliver = quote! {
        fn interests(&self) -> #private::Interests {
            #events::CallbackHandler::interests(self)
        }

        fn async_interests(&self) -> #private::Interests {
            #events::AsyncCallbackHandler::interests(self)
        }

        fn deliver(
            &self,
            run: &#private::Run<'_>,
            event: &<#events::Events as #private::EventSet>::Ref<'_>,
        ) -> #private::Outcome {
            #private::deliver(self, run, event)
        }

        fn deliver_async<'__this, '__event: '__this>(
            &'__this self,
            run: &'__this #private::Run<'__event>,
            event: &'__this <#events::Events as #private::EventSet>::Ref<'__event>,
        ) -> #private::BoxFuture<'__this, #private::Outcome> {
            #private::deliver_async(self, run, event)
        }

        #asks
    };
    let register = quote!(#private::Registered::new(::std::sync::Arc::new(self)));
    let delivery = quote!(Self);
    let handler = handler(input, &paths, &delivery, &register);
    vec![
        (quote!(CallbackHandler), quote!(#interests #(#plain)*)),
        (
            quote!(AsyncCallbackHandler),
            quote!(#async_interests #(#futures)*),
        ),
        (quote!(__private::Deliver<#events::Events>), deliver),
        (quote!(__private::Handler<#events::Events>), handler),
    ]
}

/// Asks the handler for its answers, if it has methods for decision events.
fn asks(paths: &Paths<'_>, plain: &[&Checked<'_>], futures: &[&Checked<'_>]) -> TokenStream {
    let Paths { events, private } = paths;
    let plain = decides(plain).then(|| {
        quote! {
            fn ask(
                &self,
                run: &#private::Run<'_>,
                event: &<#events::Events as #private::EventSet>::Ref<'_>,
            ) -> #private::Answer<#events::Events> {
                #private::ask(self, run, event)
            }
        }
    });
    let futures = decides(futures).then(|| {
        quote! {
            fn ask_async<'__this, '__event: '__this>(
                &'__this self,
                run: &'__this #private::Run<'__event>,
                event: &'__this <#events::Events as #private::EventSet>::Ref<'__event>,
            ) -> #private::BoxFuture<'__this, #private::Answer<#events::Events>> {
                #private::ask_async(self, run, event)
            }
        }
    });
    quote!(#plain #futures)
}

/// Whether any of these methods is for a decision event.
fn decides(methods: &[&Checked<'_>]) -> bool {
    methods.iter().any(|checked| checked.row.reply.is_some())
}

/// A handler with methods that take `&mut self`.
fn exclusive(input: &Input, methods: &[Checked<'_>]) -> Vec<Impl> {
    let paths = input.paths();
    let Paths { events, private } = &paths;
    let all = methods.iter().collect::<Vec<_>>();
    let interests = interests(&all, &paths);
    let ask = decides(&all).then(|| {
        quote! {
            fn ask_mut(
                &mut self,
                run: &#private::Run<'_>,
                event: &<#events::Events as #private::EventSet>::Ref<'_>,
            ) -> #private::Answer<#events::Events> {
                #private::ask_mut(self, run, event)
            }
        }
    });
    let mutable = Some(Token![mut](Span::call_site()));
    let methods = methods
        .iter()
        .map(|checked| plain_method(checked, &paths, mutable));
    let deliver = quote! {
        const INTERESTS: #private::Interests = #interests;

        fn deliver_mut(
            &mut self,
            run: &#private::Run<'_>,
            event: &<#events::Events as #private::EventSet>::Ref<'_>,
        ) -> #private::Outcome {
            #private::deliver_mut(self, run, event)
        }

        #ask
    };
    let delivery = quote!(#private::Shared<Self>);
    let register = quote!(#private::Exclusive::new(self).registered());
    let handler = handler(input, &paths, &delivery, &register);
    vec![
        (quote!(ExclusiveCallbackHandler), quote!(#(#methods)*)),
        (quote!(__private::DeliverMut<#events::Events>), deliver),
        (quote!(__private::Handler<#events::Events>), handler),
    ]
}

fn handler(
    input: &Input,
    paths: &Paths<'_>,
    delivery: &TokenStream,
    register: &TokenStream,
) -> TokenStream {
    let Paths { events, private } = paths;
    // Here it is asked whether the type is `Send` and `Sync`.
    let delivery = located(
        quote!(type Delivery = #delivery;),
        input.block.self_ty.span(),
    );
    quote! {
        #delivery

        fn register(self) -> #private::Registered<#events::Events, Self::Delivery> {
            #register
        }
    }
}

/// The events that these methods are for, as a constant.
fn interests(methods: &[&Checked<'_>], paths: &Paths<'_>) -> TokenStream {
    let private = &paths.private;
    if methods.is_empty() {
        return quote!(#private::Interests::NONE);
    }
    let indices = methods.iter().map(|checked| {
        let (cfg, ty) = (&checked.method.cfg, paths.event(checked.row, &quote!('_)));
        quote!(#(#cfg)* <#ty as #private::Event>::INDEX)
    });
    quote!(const { #private::Interests::of(&[#(#indices),*]) })
}

/// A use of a deprecated event is reported at the method's name.
fn deprecation(kind: &Kind, checked: &Checked<'_>) -> Option<TokenStream> {
    let deprecated = &checked.row.deprecated;
    let (of_kind, cfg, name) = (&kind.cfg, &checked.method.cfg, &checked.method.sig.ident);
    let allowed = &checked.method.allowed;
    (!deprecated.is_empty()).then(|| {
        quote! {
            #of_kind
            #(#cfg)*
            #(#allowed)*
            const _: () = {
                #(#deprecated)*
                const fn #name() {}
                #name();
            };
        }
    })
}
