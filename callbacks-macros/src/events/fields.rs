//! What a field of an event may hold: what can be copied into a queue.

use syn::visit::{self, Visit};
use syn::{GenericParam, Ident, Lifetime, Path, PathSegment, Type};

use super::model::Holds;
use crate::diagnostics::Diagnostics;
use crate::names::indefinite;
use crate::types::{arguments, ungrouped};

/// Types that own what they hold, and what is borrowed of them.
const OWNERS: [(&str, &str); 17] = [
    ("String", "&'a str"),
    ("Vec", "&'a [T]"),
    ("Box", "&'a T"),
    ("Rc", "&'a T"),
    ("Arc", "&'a Arc<T>"),
    ("Cow", "&'a str"),
    ("PathBuf", "&'a Path"),
    ("OsString", "&'a OsStr"),
    ("CString", "&'a CStr"),
    ("HashMap", "&'a HashMap<K, V>"),
    ("BTreeMap", "&'a BTreeMap<K, V>"),
    ("HashSet", "&'a HashSet<T>"),
    ("BTreeSet", "&'a BTreeSet<T>"),
    ("VecDeque", "&'a VecDeque<T>"),
    ("Mutex", "&'a Arc<Mutex<T>>"),
    ("RwLock", "&'a Arc<RwLock<T>>"),
    ("RefCell", "&'a Arc<Mutex<T>>"),
];

/// Types that have no copy, or none that can be in a queue, and how they are shared.
const UNCOPIED: [(&str, &str); 4] = [
    ("Mutex", "&'a Arc<Mutex<T>>"),
    ("RwLock", "&'a Arc<RwLock<T>>"),
    ("RefCell", "&'a Arc<Mutex<T>>"),
    ("Rc", "&'a Arc<T>"),
];

pub(super) fn check_held(holds: &Holds, rules: &Rules, errors: &Diagnostics) {
    match holds {
        Holds::Borrowed(ty) | Holds::Optional(ty) => check_borrowed(ty, rules, errors),
        Holds::Copied(ty) => check_copied(ty, rules, errors),
    }
}

fn check_borrowed(ty: &Type, rules: &Rules, errors: &Diagnostics) {
    let mut lifetimes = Lifetimes::default();
    lifetimes.visit_type(ty);
    let mut uncopied = UNCOPIED.iter();
    let uncopied = uncopied.find(|(name, _)| arguments(ty, name).is_some());
    if let Type::TraitObject(_) = ungrouped(ty) {
        errors.error(
            ty,
            "a trait object cannot be copied into a queue: share it, as `&'a Arc<dyn ..>`",
        );
    } else if let Some((name, instead)) = uncopied {
        errors.error(
            ty,
            format!(
                "{} cannot be copied into a queue: share it, as `{instead}`",
                indefinite(name)
            ),
        );
    } else if holds_event(ty, rules) {
        errors.error(ty, EVENT_INSIDE);
    } else if lifetimes.borrows {
        errors.error(
            ty,
            "what an event borrows owns what it holds, such as `&'a [String]`: no owned twin can be made of this",
        );
    }
}

/// Whether an event of the set is anywhere in it.
fn holds_event(ty: &Type, rules: &Rules) -> bool {
    struct Names<'a>(&'a Rules, bool);

    impl Visit<'_> for Names<'_> {
        fn visit_path(&mut self, path: &Path) {
            let named = |name: &Ident| name == "Self" || self.0.events.contains(name);
            let alone = path.segments.len() == 1 && path.leading_colon.is_none();
            self.1 |= alone
                && path
                    .segments
                    .first()
                    .is_some_and(|first| named(&first.ident));
            visit::visit_path(self, path);
        }
    }

    let mut names = Names(rules, false);
    names.visit_type(ty);
    names.1
}

const EVENT_INSIDE: &str = "an event cannot hold another event of its set: every struct of the module is an event, payload types live outside";

fn check_copied(ty: &Type, rules: &Rules, errors: &Diagnostics) {
    if let Some((owner, instead)) = owner(ty) {
        errors.error(
            ty,
            format!(
                "an event is copied for every handler, and {} cannot be: borrow it, as `{instead}`",
                indefinite(owner)
            ),
        );
        return;
    }
    if holds_event(ty, rules) {
        errors.error(ty, EVENT_INSIDE);
        return;
    }
    let mut lifetimes = Lifetimes::default();
    lifetimes.visit_type(ty);
    if lifetimes.borrows {
        errors.error(
            ty,
            "an event field is `&'a T`, `Option<&'a T>` or a small `Copy` value that borrows nothing: no owned twin can be made of this",
        );
    } else if lifetimes.any && rules.serde {
        errors.error(
            ty,
            "with `serde`, an event is read back from its owned twin, which nothing `'static` can be: borrow it, as `&'a T`",
        );
    }
}

/// What in a type owns what it holds, and how the whole is borrowed instead.
fn owner(ty: &Type) -> Option<(&'static str, String)> {
    match ungrouped(ty) {
        Type::Path(_) => {
            let last = last_segment(ty)?;
            if let Some((owner, instead)) = OWNERS.iter().find(|(owner, _)| last.ident == owner) {
                return Some((owner, (*instead).to_owned()));
            }
            // Of other types it is not known that they hold what they name.
            let inner = *arguments(ty, "Option")?.first()?;
            let (owner, instead) = owner(inner)?;
            Some((owner, format!("Option<{instead}>")))
        }
        Type::Tuple(tuple) => {
            let (owner, _) = tuple.elems.iter().find_map(owner)?;
            Some((owner, "&'a (..)".to_owned()))
        }
        Type::Array(array) => {
            let (owner, _) = owner(&array.elem)?;
            Some((owner, "&'a [T]".to_owned()))
        }
        _ => None,
    }
}

fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match ungrouped(ty) {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}

/// What is checked of a field beyond its own syntax.
pub(super) struct Rules {
    /// The names of all events.
    pub(super) events: Vec<Ident>,
    pub(super) serde: bool,
}

/// Which lifetimes a type has. Those that `fn(&str)` binds are nothing of the event's.
#[derive(Default)]
pub(super) struct Lifetimes {
    pub(super) any: bool,
    /// Other than `'static`.
    pub(super) borrows: bool,
    pub(super) bound: Vec<Lifetime>,
    pub(super) in_fn: bool,
}

impl Visit<'_> for Lifetimes {
    fn visit_lifetime(&mut self, lifetime: &Lifetime) {
        if self.bound.contains(lifetime) || (self.in_fn && lifetime.ident == "_") {
            return;
        }
        self.any = true;
        self.borrows |= lifetime.ident != "static";
    }

    fn visit_type_fn_ptr(&mut self, of: &syn::TypeFnPtr) {
        let around = std::mem::replace(&mut self.in_fn, true);
        let bound = of.lifetimes.iter().flat_map(|bound| &bound.lifetimes);
        let bound = bound.filter_map(|param| match param {
            GenericParam::Lifetime(param) => Some(param.lifetime.clone()),
            _ => None,
        });
        self.bound.extend(bound);
        visit::visit_type_fn_ptr(self, of);
        self.in_fn = around;
    }
}
