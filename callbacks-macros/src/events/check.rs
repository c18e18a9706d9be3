//! What an event must be. An event that is not is reported once and then left out of the set, so
//! that nothing made from it is reported a second time.

use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{
    Fields, GenericParam, Ident, Item, Lifetime, Path, PathSegment, Token, Type, Visibility,
};

use super::model::{Event, Holds, Set};
use crate::conditions::is_condition;
use crate::diagnostics::Diagnostics;
use crate::types::{arguments, ungrouped};

/// The interests of a handler are one bit each.
const MAX_EVENTS: usize = 64;

/// What the set itself puts into the module.
const TAKEN: [&str; 9] = [
    "Events",
    "AnyEvent",
    "AnyReply",
    "ByHand",
    "CallbackHandler",
    "AsyncCallbackHandler",
    "ExclusiveCallbackHandler",
    "owned",
    "__private",
];

/// Names of handler parameters with a meaning of their own.
const RESERVED: [(&str, &str); 2] = [("event", "all of the event"), ("run", "the run it is in")];

/// What the set derives for every event.
const DERIVED: [&str; 3] = ["Clone", "Copy", "Debug"];

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

pub(crate) fn check(set: &mut Set, errors: &Diagnostics) {
    if set.events.is_empty() {
        errors.error(
            &set.name,
            "an event set has at least one event: add a struct to the module (an enum is no event)",
        );
    }
    if let Some(event) = set.events.get(MAX_EVENTS) {
        errors.error(
            event.name(),
            format!("an event set holds at most {MAX_EVENTS} events"),
        );
    }
    check_items(set, errors);
    let excess = set.events.split_off(set.events.len().min(MAX_EVENTS));
    let rules = Rules {
        events: set.events.iter().map(Event::name).cloned().collect(),
        serde: set.args.serde,
    };
    let (mut sound, mut broken) = (Vec::new(), Vec::new());
    for event in std::mem::take(&mut set.events) {
        let before = errors.len();
        check_event(&event, &rules, errors);
        check_method(&event, &sound, errors);
        if errors.len() == before {
            sound.push(event);
        } else {
            broken.push(event);
        }
    }
    set.events = sound;
    let left_out = broken.into_iter().chain(excess);
    for event in left_out {
        // What has a name of the set, or of another event, would only be reported once more.
        let mut names = set.events.iter().map(Event::name);
        if !is_taken(event.name()) && names.all(|name| name != event.name()) {
            set.items.push(Item::Struct(event.item));
        }
        set.broken.push(event.method);
    }
}

fn check_event(event: &Event, rules: &Rules, errors: &Diagnostics) {
    let (item, generics) = (&event.item, &event.item.generics);
    if is_taken(&item.ident) {
        errors.error(&item.ident, name_taken(&item.ident));
    }
    if let Some(misread) = &event.misread {
        errors.report(misread);
    }
    if let Some(reply) = &event.reply {
        check_reply(reply, errors);
    }
    for param in generics.type_params() {
        errors.error(
            param,
            "an event cannot be generic: one handler method must fit every value",
        );
    }
    for param in generics.const_params() {
        errors.error(
            param,
            "an event cannot be generic: one handler method must fit every value",
        );
    }
    if generics.lifetimes().count() > 1 {
        errors.error(
            generics,
            "an event has at most one lifetime: borrow all fields for the same one",
        );
    }
    let private = match &item.vis {
        Visibility::Inherited => true,
        Visibility::Restricted(to) => to.path.is_ident("self"),
        Visibility::Public(_) => false,
    };
    if private {
        errors.error(
            &item.ident,
            format!(
                "`{0}` cannot be handled outside of this module: write `pub struct {0}`, or, if it is no event, put it outside of the module",
                item.ident
            ),
        );
    }
    check_derives(event, errors);
    for attr in item.attrs.iter().filter(|attr| is_condition(attr)) {
        errors.error(
            attr,
            "an event cannot be configured out: put it into a set of its own, with `#[cfg]` on the module",
        );
    }
    let fields = event.fields.iter().flat_map(|field| &field.attrs);
    for attr in fields.filter(|attr| is_condition(attr)) {
        errors.error(
            attr,
            "a field of an event cannot be configured out: make it an `Option`",
        );
    }
    if let Fields::Unnamed(fields) = &item.fields {
        errors.error(
            fields,
            "the fields of an event must be named: handlers ask for them by name",
        );
    }
    for field in &event.fields {
        for (reserved, meaning) in RESERVED {
            if field.name.unraw() == reserved {
                errors.error(
                    &field.name,
                    format!("a field cannot be called `{reserved}`: a handler parameter of that name takes {meaning}"),
                );
            }
        }
        check_held(&field.holds, rules, errors);
    }
}

/// Two impls of one trait would be reported several times each.
fn check_derives(event: &Event, errors: &Diagnostics) {
    for attr in event.attrs("derive") {
        // What is no list of paths is for rustc to refuse.
        let paths = attr.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated);
        for path in paths.into_iter().flatten() {
            let name = path.segments.last().map(|last| last.ident.to_string());
            let Some(name) = name.filter(|name| DERIVED.contains(&name.as_str())) else {
                continue;
            };
            errors.error(
                &path,
                format!("every event derives `Clone`, `Copy` and `Debug`: leave `{name}` out, or, if this is no event, put it outside of the module"),
            );
        }
    }
}

/// A handler method is for one event.
fn check_method(event: &Event, before: &[Event], errors: &Diagnostics) {
    let mut before = before.iter();
    if let Some(other) = before.find(|other| other.method == event.method) {
        if other.name() == event.name() {
            let name = event.name();
            errors.error(
                name,
                format!("event `{name}` is there already: rename one of them"),
            );
            return;
        }
        errors.error(
            event.name(),
            format!(
                "`{}` and `{}` would both be handled by `{}`: rename one of them",
                other.name(),
                event.name(),
                event.method
            ),
        );
    }
}

/// What else is in the module may not have a name of the set either.
fn check_items(set: &mut Set, errors: &Diagnostics) {
    set.items.retain(|item| {
        let name = match item {
            Item::Enum(item) => &item.ident,
            Item::Mod(item) => &item.ident,
            Item::Trait(item) => &item.ident,
            Item::Type(item) => &item.ident,
            Item::Union(item) => &item.ident,
            _ => return true,
        };
        let taken = is_taken(name);
        if taken {
            errors.error(name, name_taken(name));
        }
        !taken
    });
}

fn is_taken(name: &Ident) -> bool {
    TAKEN.iter().any(|taken| name == taken)
}

fn name_taken(name: &Ident) -> String {
    format!("`{name}` is a name of the event set itself; choose another")
}

fn check_reply(reply: &Type, errors: &Diagnostics) {
    let mut lifetimes = Lifetimes::default();
    lifetimes.visit_type(reply);
    if lifetimes.borrows {
        errors.error(
            reply,
            "a reply outlives the event that it answers, so it cannot borrow: use a type that owns what it holds",
        );
    }
}

fn check_held(holds: &Holds, rules: &Rules, errors: &Diagnostics) {
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
            format!("a `{name}` cannot be copied into a queue: share it, as `{instead}`"),
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
            format!("an event is copied for every handler, and a `{owner}` cannot be: borrow it, as `{instead}`"),
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
struct Rules {
    /// The names of all events.
    events: Vec<Ident>,
    serde: bool,
}

/// Which lifetimes a type has. Those that `fn(&str)` binds are nothing of the event's.
#[derive(Default)]
struct Lifetimes {
    any: bool,
    /// Other than `'static`.
    borrows: bool,
    bound: Vec<Lifetime>,
    in_fn: bool,
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
