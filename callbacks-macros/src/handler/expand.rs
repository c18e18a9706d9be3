//! Writes the trait impls of a handler.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Ident, Path, ReturnType, Token};

use super::check::{Checked, Param, Source};
use super::lifetimes::{elided, generics};
use super::table::{Input, Kind};
use crate::names::is_odd_field;
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
    let mut params = methods.iter().flat_map(|checked| &checked.params);
    // Only where the user has done so, for a lint that is forbidden cannot be allowed.
    let odd = params.any(|param| is_odd_field(&param.name.to_string()));
    let odd = odd.then(|| quote!(#[allow(non_snake_case)]));
    let mut rows = methods.iter().map(|checked| checked.row);
    let deprecated = rows.any(|row| !row.deprecated.is_empty());
    let deprecated = deprecated.then(|| quote!(#[allow(deprecated)]));
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

// Lifetimes of the glue have names that no block has: one that declares the same would not compile.

/// A trait, from the path of the set on, and what stands in its impl.
type Impl = (TokenStream, TokenStream);

/// A handler with methods that take `&self`.
fn shared(input: &Input, methods: &[Checked<'_>]) -> Vec<Impl> {
    let events = &input.events;
    // A type of the set, however it is reached.
    let private = quote!(#events::__private);
    let (futures, plain): (Vec<_>, Vec<_>) = methods
        .iter()
        .partition(|checked| checked.method.sig.asyncness.is_some());
    let asks = asks(events, &private, &plain, &futures);
    let interests = interests(&plain, events, &private);
    let async_interests = self::interests(&futures, events, &private);
    let plain = plain
        .iter()
        .map(|checked| plain_method(checked, events, &private, None));
    let futures = futures
        .iter()
        .map(|checked| async_method(checked, events, &private));
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
    let handler = handler(input, &private, &delivery, &register);
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
fn asks(
    events: &Path,
    private: &TokenStream,
    plain: &[&Checked<'_>],
    futures: &[&Checked<'_>],
) -> TokenStream {
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
    let events = &input.events;
    let private = quote!(#events::__private);
    let all = methods.iter().collect::<Vec<_>>();
    let interests = interests(&all, events, &private);
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
        .map(|checked| plain_method(checked, events, &private, mutable));
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
    let handler = handler(input, &private, &delivery, &register);
    vec![
        (quote!(ExclusiveCallbackHandler), quote!(#(#methods)*)),
        (quote!(__private::DeliverMut<#events::Events>), deliver),
        (quote!(__private::Handler<#events::Events>), handler),
    ]
}

fn handler(
    input: &Input,
    private: &TokenStream,
    delivery: &TokenStream,
    register: &TokenStream,
) -> TokenStream {
    let events = &input.events;
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
fn interests(methods: &[&Checked<'_>], events: &Path, private: &TokenStream) -> TokenStream {
    if methods.is_empty() {
        return quote!(#private::Interests::NONE);
    }
    let indices = methods.iter().map(|checked| {
        let (cfg, event) = (&checked.method.cfg, &checked.row.event);
        let lifetime = checked.row.borrows.then(|| quote!(<'_>));
        quote!(#(#cfg)* <#events::#event #lifetime as #private::Event>::INDEX)
    });
    quote!(const { #private::Interests::of(&[#(#indices),*]) })
}

fn plain_method(
    checked: &Checked<'_>,
    events: &Path,
    private: &TokenStream,
    mutable: Option<Token![mut]>,
) -> TokenStream {
    let (cfg, name, event) = (
        &checked.method.cfg,
        &checked.method.sig.ident,
        &checked.row.event,
    );
    let lifetime = checked.row.borrows.then(|| quote!(<'_>));
    let locals = Locals::new(checked);
    let Locals {
        this,
        event: event_local,
        run,
    } = &locals;
    let bindings = bindings(checked, &locals);
    let returns = returns(checked, events, private);
    let call = outcome(checked, &call(checked, &locals), events, private);
    quote! {
        #(#cfg)*
        fn #name(
            &#mutable #this,
            #event_local: &#events::#event #lifetime,
            #run: &#private::Run<'_>,
        ) -> #returns {
            #bindings
            #call
        }
    }
}

fn async_method(checked: &Checked<'_>, events: &Path, private: &TokenStream) -> TokenStream {
    let (cfg, name, event) = (
        &checked.method.cfg,
        &checked.method.sig.ident,
        &checked.row.event,
    );
    let ty = checked.row.borrows.then(|| quote!(<'__fields>));
    let fields = checked.row.borrows.then(|| quote!('__fields,));
    let outlives = checked.row.borrows.then(|| quote!('__fields: '__future,));
    let locals = Locals::new(checked);
    let Locals {
        this,
        event: event_local,
        run,
    } = &locals;
    let bindings = bindings(checked, &locals);
    let call = call(checked, &locals);
    let returns = returns(checked, events, private);
    let call = outcome(checked, &quote!(#call.await), events, private);
    // Where rustc points when the future is not `Send`: the user's `async`.
    let at = checked
        .method
        .sig
        .asyncness
        .map_or_else(Span::call_site, |token| token.span);
    let future = quote_spanned!(at=> ::std::boxed::Box::pin(async move { #bindings #call }));
    quote! {
        #(#cfg)*
        fn #name<'__this, '__event, #fields '__run, '__info, '__future>(
            &'__this #this,
            #event_local: &'__event #events::#event #ty,
            #run: &'__run #private::Run<'__info>,
        ) -> #private::BoxFuture<'__future, #returns>
        where
            '__this: '__future,
            '__event: '__future,
            #outlives
            '__run: '__future,
            '__info: '__future,
            Self: '__future,
        {
            #future
        }
    }
}

/// The names that the glue invents. Each is one identifier with one span: in a handler that comes
/// out of a `macro_rules!`, hygiene tells apart what is written twice.
struct Locals {
    this: Token![self],
    event: Ident,
    run: Ident,
}

impl Locals {
    fn new(checked: &Checked<'_>) -> Self {
        let uses = |wanted: &[Source]| {
            checked
                .params
                .iter()
                .any(|param| wanted.contains(&param.source))
        };
        let local = |name: &str, used: bool| {
            let name = if used {
                name.to_owned()
            } else {
                format!("_{name}")
            };
            Ident::new(&name, Span::mixed_site())
        };
        Self {
            this: Token![self](Span::mixed_site()),
            event: local("event", uses(&[Source::Event, Source::Field])),
            run: local("run", uses(&[Source::Run])),
        }
    }
}

/// `let token = event.token; let token: &str = token;`
///
/// The second binding is there for its error message: "expected `u32`, found `&str`" is said of the
/// parameter, "expected due to this" of its type.
fn bindings(checked: &Checked<'_>, locals: &Locals) -> TokenStream {
    let Locals { event, run, .. } = locals;
    checked
        .params
        .iter()
        .map(|param| {
            let (name, ty) = (param.name, elided(param.ty, &checked.method.sig));
            let source = match param.source {
                Source::Field => quote!(#event.#name),
                Source::Event => quote!(#event),
                Source::Run => quote!(#run),
            };
            let argument = argument(param);
            quote! {
                let #name = #source;
                let #argument: #ty = #name;
            }
        })
        .collect()
}

/// What is given to the user's method, located at its parameter. To clippy, it is not what the user wrote.
fn argument(param: &Param<'_>) -> Ident {
    let mut name = param.name.clone();
    name.set_span(name.span().resolved_at(Span::call_site()));
    name
}

fn call(checked: &Checked<'_>, locals: &Locals) -> TokenStream {
    let (name, this) = (&checked.method.sig.ident, &locals.this);
    let args = checked.params.iter().map(argument);
    quote!(Self::#name(#this, #(#args),*))
}

/// What the trait's method returns.
fn returns(checked: &Checked<'_>, events: &Path, private: &TokenStream) -> TokenStream {
    let Some(reply) = reply(checked, events, private) else {
        return quote!(#private::Outcome);
    };
    quote!(::core::result::Result<#reply, #private::BoxError>)
}

/// What a decision event is answered with.
fn reply(checked: &Checked<'_>, events: &Path, private: &TokenStream) -> Option<TokenStream> {
    let event = &checked.row.event;
    let lifetime = checked.row.borrows.then(|| quote!(<'_>));
    let decision = checked.row.reply.is_some();
    decision.then(|| quote!(<#events::#event #lifetime as #private::Event>::Reply))
}

/// What the user's method returned, as the traits want it.
fn outcome(
    checked: &Checked<'_>,
    call: &TokenStream,
    events: &Path,
    private: &TokenStream,
) -> TokenStream {
    match &checked.method.sig.output {
        ReturnType::Default => quote! {
            #call;
            ::core::result::Result::Ok(())
        },
        ReturnType::Type(_, ty) => {
            // Named and located there, so that rustc points at it if it cannot be converted, or borrows.
            let at = ty.span();
            let ty = elided(ty, &checked.method.sig);
            let reply = reply(checked, events, private).unwrap_or_else(|| quote!(()));
            quote_spanned!(at=> <#ty as #private::IntoOutcome<#reply>>::into_outcome(#call))
        }
    }
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
