//! One method of the glue: takes the event apart, and calls the method that the user wrote.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Ident, ReturnType, Token};

use super::check::{Checked, Param, Source};
use super::lifetimes::elided;
use super::table::Paths;

pub(super) fn plain_method(
    checked: &Checked<'_>,
    paths: &Paths<'_>,
    mutable: Option<Token![mut]>,
) -> TokenStream {
    let (cfg, name) = (&checked.method.cfg, &checked.method.sig.ident);
    let ty = paths.event(checked.row, &quote!('_));
    let private = &paths.private;
    let locals = Locals::new(checked);
    let Locals { this, event, run } = &locals;
    let bindings = bindings(checked, &locals);
    let returns = returns(checked, paths);
    let call = outcome(checked, &call(checked, &locals), paths);
    quote! {
        #(#cfg)*
        fn #name(
            &#mutable #this,
            #event: &#ty,
            #run: &#private::Run<'_>,
        ) -> #returns {
            #bindings
            #call
        }
    }
}

/// Lifetimes of the glue have names that no block has: one that declares the same would not compile.
pub(super) fn async_method(checked: &Checked<'_>, paths: &Paths<'_>) -> TokenStream {
    let (cfg, name) = (&checked.method.cfg, &checked.method.sig.ident);
    let ty = paths.event(checked.row, &quote!('__fields));
    let private = &paths.private;
    let fields = checked.row.borrows.then(|| quote!('__fields,));
    let outlives = checked.row.borrows.then(|| quote!('__fields: '__future,));
    let locals = Locals::new(checked);
    let Locals { this, event, run } = &locals;
    let bindings = bindings(checked, &locals);
    let call = call(checked, &locals);
    let returns = returns(checked, paths);
    let call = outcome(checked, &quote!(#call.await), paths);
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
            #event: &'__event #ty,
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
fn returns(checked: &Checked<'_>, paths: &Paths<'_>) -> TokenStream {
    let private = &paths.private;
    let Some(reply) = reply(checked, paths) else {
        return quote!(#private::Outcome);
    };
    quote!(::core::result::Result<#reply, #private::BoxError>)
}

/// What a decision event is answered with.
fn reply(checked: &Checked<'_>, paths: &Paths<'_>) -> Option<TokenStream> {
    let (ty, private) = (paths.event(checked.row, &quote!('_)), &paths.private);
    let decision = checked.row.reply.is_some();
    decision.then(|| quote!(<#ty as #private::Event>::Reply))
}

/// What the user's method returned, as the traits want it.
fn outcome(checked: &Checked<'_>, call: &TokenStream, paths: &Paths<'_>) -> TokenStream {
    let private = &paths.private;
    match &checked.method.sig.output {
        ReturnType::Default => quote! {
            #call;
            ::core::result::Result::Ok(())
        },
        ReturnType::Type(_, ty) => {
            // Named and located there, so that rustc points at it if it cannot be converted, or borrows.
            let at = ty.span();
            let ty = elided(ty, &checked.method.sig);
            let reply = reply(checked, paths).unwrap_or_else(|| quote!(()));
            quote_spanned!(at=> <#ty as #private::IntoOutcome<#reply>>::into_outcome(#call))
        }
    }
}
