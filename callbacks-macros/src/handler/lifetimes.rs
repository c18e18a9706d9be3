//! The lifetimes of a handler, as they can be written in the glue.

use syn::visit_mut::{self, VisitMut};
use syn::{GenericParam, Generics, Lifetime, LifetimeParam, Signature, Type};

/// A handler outlives every run. Where that depends on its parameters, it is one only if they do; so
/// the lifetimes in `impl Ledger<'_>` get names.
pub(super) fn generics(generics: &Generics, self_ty: &mut Type) -> Generics {
    struct Named(Vec<Lifetime>);

    impl VisitMut for Named {
        fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
            if lifetime.ident == "_" {
                let name = format!("'__anonymous{}", self.0.len());
                *lifetime = Lifetime::new(&name, lifetime.span());
                self.0.push(lifetime.clone());
            }
        }

        /// Those of `fn(&str)`, of `Fn(&str)`, and of what is computed are nothing of the block's.
        fn visit_type_fn_ptr_mut(&mut self, _: &mut syn::TypeFnPtr) {}
        fn visit_parenthesized_generic_arguments_mut(
            &mut self,
            _: &mut syn::ParenthesizedGenericArguments,
        ) {
        }
        fn visit_expr_mut(&mut self, _: &mut syn::Expr) {}

        fn visit_type_reference_mut(&mut self, reference: &mut syn::TypeReference) {
            reference
                .lifetime
                .get_or_insert_with(|| Lifetime::new("'_", reference.and_token.span));
            visit_mut::visit_type_reference_mut(self, reference);
        }
    }

    let mut generics = generics.clone();
    let mut named = Named(Vec::new());
    named.visit_type_mut(self_ty);
    let named = named.0.into_iter();
    // Lifetimes stand first.
    let named = named.map(|lifetime| GenericParam::Lifetime(LifetimeParam::new(lifetime)));
    generics.params = named.chain(generics.params).collect();
    if !generics.params.is_empty() {
        generics
            .make_where_clause()
            .predicates
            .push(syn::parse_quote! {
                Self: 'static
            });
    }
    generics
}

/// `ty` as it can be written in the glue, where the method's own lifetimes are not declared.
pub(super) fn elided(ty: &Type, sig: &Signature) -> Type {
    struct Elide<'s>(&'s Signature);

    impl VisitMut for Elide<'_> {
        fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
            let mut own = self.0.generics.lifetimes();
            if own.any(|param| param.lifetime == *lifetime) {
                *lifetime = Lifetime::new("'_", lifetime.span());
            }
        }
    }

    let mut ty = ty.clone();
    Elide(sig).visit_type_mut(&mut ty);
    ty
}
