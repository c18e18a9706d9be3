//! What can be told of a type by how it is written.

use quote::ToTokens;
use syn::visit_mut::{self, VisitMut};
use syn::{GenericArgument, Path, PathArguments, Type, TypePath};

/// The type as it was written: a `macro_rules!` wraps what it passes on.
pub(crate) fn ungrouped(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => ungrouped(&group.elem),
        Type::Paren(paren) => ungrouped(&paren.elem),
        _ => ty,
    }
}

/// The `T` and `E` of `Result<T, E>`, if that is the `name` of `ty`.
pub(crate) fn arguments<'a>(ty: &'a Type, name: &str) -> Option<Vec<&'a Type>> {
    let Type::Path(path) = ungrouped(ty) else {
        return None;
    };
    let last = path.path.segments.last()?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    let types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    (last.ident == name).then(|| types.collect())
}

/// As a person writes it: where two tokens meet, what is printed of them has a space or a new line.
pub(crate) fn text(tokens: &impl ToTokens) -> String {
    let printed = tokens.to_token_stream().to_string();
    let words: Vec<&str> = printed.split_whitespace().collect();
    let written = [
        (" ::", "::"),
        (":: ", "::"),
        (" <", "<"),
        ("< ", "<"),
        (" >", ">"),
        (" ,", ","),
        (",>", ">"),
        (",<", ", <"),
        ("& ", "&"),
    ];
    let written = written.into_iter();
    written.fold(words.join(" "), |text, (printed, written)| {
        text.replace(printed, written)
    })
}

/// A type as a user writes it who has all its names imported.
pub(crate) fn imported(ty: &Type) -> String {
    struct LastNames;

    impl VisitMut for LastNames {
        fn visit_path_mut(&mut self, path: &mut Path) {
            if let Some(last) = path.segments.pop() {
                *path = last.into();
            }
            visit_mut::visit_path_mut(self, path);
        }

        /// `<T as Trait>::Type` stays what it is.
        fn visit_type_path_mut(&mut self, ty: &mut TypePath) {
            let Some(of) = &mut ty.qself else {
                return visit_mut::visit_type_path_mut(self, ty);
            };
            self.visit_type_mut(&mut of.ty);
            ty.path.leading_colon = None;
            let segments = ty.path.segments.iter_mut();
            segments.for_each(|segment| self.visit_path_segment_mut(segment));
        }
    }

    let mut ty = ty.clone();
    LastNames.visit_type_mut(&mut ty);
    text(&ty)
}
