//! What a handler method must be. A method with a mistake gets no glue, so that rustc does not
//! complain about it a second time.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ptr;

use quote::ToTokens;
use syn::ext::IdentExt;
use syn::visit::Visit;
use syn::{
    FnArg, GenericParam, Ident, Pat, PatType, ReceiverKind, ReturnType, Safety, Signature, Type,
    TypeParamBound, WherePredicate,
};

use super::meant::{no_event, unknown_field};
use super::signatures::Method;
use super::table::{Input, Kind, Row};
use crate::attributes::is_condition;
use crate::diagnostics::Diagnostics;
use crate::types::{arguments, ungrouped};

/// A handler method in which no mistake was found.
pub(crate) struct Checked<'a> {
    pub(crate) method: &'a Method,
    pub(crate) row: &'a Row,
    pub(crate) params: Vec<Param<'a>>,
}

pub(crate) struct Param<'a> {
    pub(crate) name: &'a Ident,
    pub(crate) ty: &'a Type,
    pub(crate) source: Source,
}

/// What a parameter is taken from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// `token: &str`
    Field,
    /// `event: &LlmEnd<'_>`
    Event,
    /// `run: &Run<'_>`
    Run,
}

/// `None` if the method is wrong, or no handler method at all.
pub(crate) fn check<'a>(
    method: &'a Method,
    kind: &Kind,
    input: &'a Input,
    repeated: &HashMap<String, &Method>,
    errors: &Diagnostics,
) -> Option<Checked<'a>> {
    let sig = &method.sig;
    let name = sig.ident.unraw().to_string();
    let Some(row) = input.row(method) else {
        if let Some(message) = no_event(method, input) {
            errors.error(&sig.ident, message);
        }
        return None;
    };
    if let Some(first) = repeated.get(&name).filter(|_| method.cfg.is_empty()) {
        if !ptr::eq(*first, method) {
            errors.error(
                &sig.ident,
                format!("`{name}` is there twice: an event has one method, plain or async"),
            );
        }
        return None;
    }
    check_receiver(sig, errors);
    check_shape(sig, errors);
    check_exclusive(sig, kind, errors);
    check_answer(sig, row, input, errors);
    let params = sig
        .inputs
        .iter()
        .filter_map(|input| match input {
            FnArg::Receiver(_) => None,
            FnArg::Typed(param) => Some(check_param(param, row, errors)),
        })
        .collect::<Vec<_>>();
    let params = params.into_iter().collect::<Option<Vec<_>>>()?;
    (errors.len() == 0).then_some(Checked {
        method,
        row,
        params,
    })
}

/// The first method of each name that several have. Of those with conditions, one may be there at a time.
pub(crate) fn repeated(input: &Input) -> HashMap<String, &Method> {
    let mut first = HashMap::new();
    let mut repeated = HashMap::new();
    let methods = input.block.methods.iter();
    for method in methods.filter(|method| method.cfg.is_empty()) {
        let name = method.sig.ident.unraw().to_string();
        match first.entry(name) {
            Entry::Vacant(entry) => {
                entry.insert(method);
            }
            Entry::Occupied(entry) => {
                repeated.insert(entry.key().clone(), *entry.get());
            }
        }
    }
    repeated
}

fn check_param<'a>(param: &'a PatType, row: &Row, errors: &Diagnostics) -> Option<Param<'a>> {
    let (pat, ty) = (&*param.pat, &*param.ty);
    for attr in param.attrs.iter().filter(|attr| is_condition(attr)) {
        errors.error(
            attr,
            "a handler parameter cannot be configured out: write the method twice, with `#[cfg]` on each",
        );
    }
    let name = match pat {
        Pat::Ident(pat) if pat.subpat.is_none() => &pat.ident,
        Pat::Wild(_) => {
            errors.error(
                pat,
                "a handler takes what it names: leave an unused parameter out",
            );
            return None;
        }
        _ => {
            errors.error(
                pat,
                format!(
                    "a handler parameter is the name of a field of `{}`, `event` or `run`; take it apart in the body",
                    row.event
                ),
            );
            return None;
        }
    };
    if has_impl(ty) {
        errors.error(
            ty,
            "a handler method cannot be generic: a parameter has the type of its event field",
        );
    }
    let bare = name.unraw();
    let source = if bare == "event" {
        Source::Event
    } else if bare == "run" {
        Source::Run
    } else {
        // Whether a name has to be raw is up to the edition, which is another one where the event is.
        if !row.fields.iter().any(|field| field.unraw() == bare) {
            errors.error(name, unknown_field(&bare.to_string(), row));
        }
        Source::Field
    };
    Some(Param { name, ty, source })
}

/// A reference to the handler, that two calls at once can have if it is async.
fn check_receiver(sig: &Signature, errors: &Diagnostics) {
    let name = &sig.ident;
    match sig.inputs.first() {
        Some(FnArg::Receiver(receiver)) => {
            let (mutable, typed) = match &receiver.kind {
                ReceiverKind::Reference(_, _, mutable) => (mutable, false),
                ReceiverKind::Typed(_, ty) if let Type::Reference(ty) = ungrouped(ty) => {
                    (&ty.mutability, true)
                }
                _ => {
                    return errors.error(
                        receiver,
                        "a handler method takes `&self`: the handler is called again for the next event",
                    );
                }
            };
            if mutable.is_some() && sig.asyncness.is_some() {
                errors.error(
                    receiver,
                    "an async handler method may be called again before it is done: take `&self`, and keep what changes in an atomic or a `Mutex`",
                );
            } else if typed {
                let mutable = mutable.map_or("", |_| "mut ");
                errors.error(
                    receiver,
                    format!("a handler method takes `&{mutable}self`: write it so, without a type"),
                );
            }
        }
        _ => errors.error(
            name,
            format!(
                "`{name}` is a handler method but has no receiver: write `fn {name}(&self, ..)`"
            ),
        ),
    }
}

/// What holds for every handler method, whatever its event.
fn check_shape(sig: &Signature, errors: &Diagnostics) {
    for param in &sig.generics.params {
        if !matches!(param, GenericParam::Lifetime(_)) {
            errors.error(
                param,
                "a handler method cannot be generic: its event decides the types",
            );
        }
    }
    let bounds = sig.generics.where_clause.iter();
    for bound in bounds.flat_map(|clause| &clause.predicates) {
        if !matches!(bound, WherePredicate::Lifetime(_)) {
            errors.error(
                bound,
                "a handler method is called for every value of its handler: put this bound on the impl block, or leave it out",
            );
        }
    }
    let refused = |token: &dyn ToTokens, qualifier: &str| {
        errors.error(
            token,
            format!("a handler method cannot be `{qualifier}`: leave it out"),
        );
    };
    if let Some(token) = &sig.constness {
        refused(token, "const");
    }
    if let Safety::Unsafe(token) = &sig.safety {
        refused(token, "unsafe");
    }
    if let Some(token) = &sig.abi {
        refused(token, "extern");
    }
}

/// Whether a method takes `&mut self`.
pub(crate) fn is_mutable(sig: &Signature) -> bool {
    match sig.inputs.first() {
        Some(FnArg::Receiver(receiver)) => {
            matches!(receiver.kind, ReceiverKind::Reference(_, _, Some(_)))
        }
        _ => false,
    }
}

/// An exclusive handler has no async methods.
fn check_exclusive(sig: &Signature, kind: &Kind, errors: &Diagnostics) {
    if let (Some(token), true, false) = (&sig.asyncness, kind.exclusive, is_mutable(sig)) {
        errors.error(
            token,
            "a handler with a method that takes `&mut self` has no async methods: take `&self` in all of them, or leave `async` out",
        );
    }
}

/// A method for a decision event has an answer. Which, rustc sees to.
fn check_answer(sig: &Signature, row: &Row, input: &Input, errors: &Diagnostics) {
    if let ReturnType::Type(_, ty) = &sig.output {
        if has_impl(ty) {
            errors.error(
                ty,
                "a handler method cannot return `impl Trait`: write the type, or `async fn` for a future",
            );
        } else if let Some(error) = unsendable(ty) {
            errors.error(
                error,
                "an error of a handler goes to other threads: write `Box<dyn Error + Send + Sync>`",
            );
        }
    }
    if let (Some(reply), ReturnType::Default) = (&row.reply, &sig.output) {
        let (name, reply) = (&sig.ident, reply.value());
        // The reply is named as in the module of the set, where it need not be.
        let (events, event) = (input.shown(), &row.event);
        errors.error(
            name,
            format!("`{name}` is asked for a decision, but returns nothing: write `fn {name}(..) -> {reply}`, the reply of `{events}::{event}`"),
        );
    }
}

fn has_impl(ty: &Type) -> bool {
    struct Impl(bool);

    impl Visit<'_> for Impl {
        fn visit_type_impl_trait(&mut self, _: &syn::TypeImplTrait) {
            self.0 = true;
        }
    }

    let mut found = Impl(false);
    found.visit_type(ty);
    found.0
}

/// The `Box<dyn Error>` of `Result<(), Box<dyn Error>>`, of which rustc would say three things.
fn unsendable(ty: &Type) -> Option<&Type> {
    let [_, error] = arguments(ty, "Result")?[..] else {
        return None;
    };
    let [Type::TraitObject(object)] = arguments(error, "Box")?[..] else {
        return None;
    };
    let names = object.bounds.iter().filter_map(|bound| match bound {
        TypeParamBound::Trait(bound) => bound.path.segments.last(),
        _ => None,
    });
    let names: Vec<_> = names.map(|last| last.ident.to_string()).collect();
    let has = |name: &str| names.iter().any(|has| has == name);
    (has("Error") && !(has("Send") && has("Sync"))).then_some(error)
}
