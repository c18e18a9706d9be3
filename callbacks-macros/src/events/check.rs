//! What an event must be. An event that is not is reported once and then left out of the set, so
//! that nothing made from it is reported a second time.

use syn::visit::Visit;
use syn::{Fields, Ident, Item, Type};

use super::model::{Event, Holds, Set};
use crate::diagnostics::Diagnostics;

/// The interests of a handler are one bit each.
const MAX_EVENTS: usize = 64;

/// What the set itself puts into the module.
const TAKEN: [&str; 7] = [
    "Events",
    "AnyEvent",
    "AnyReply",
    "ByHand",
    "CallbackHandler",
    "AsyncCallbackHandler",
    "ExclusiveCallbackHandler",
];

/// Names of handler parameters with a meaning of their own.
const RESERVED: [(&str, &str); 2] = [("event", "all of the event"), ("run", "the run it is in")];

/// Types that own what they hold.
const OWNERS: [(&str, &str); 8] = [
    ("String", "&'a str"),
    ("Vec", "&'a [T]"),
    ("Box", "&'a T"),
    ("Rc", "&'a T"),
    ("Arc", "&'a Arc<T>"),
    ("PathBuf", "&'a Path"),
    ("HashMap", "&'a HashMap<K, V>"),
    ("BTreeMap", "&'a BTreeMap<K, V>"),
];

pub(crate) fn check(set: &mut Set, errors: &Diagnostics) {
    if set.events.is_empty() {
        errors.error(
            &set.name,
            "an event set has at least one event: add a struct to the module",
        );
    }
    if let Some(event) = set.events.get(MAX_EVENTS) {
        errors.error(
            event.name(),
            format!("an event set holds at most {MAX_EVENTS} events"),
        );
    }
    let excess = set.events.split_off(set.events.len().min(MAX_EVENTS));
    let rules = Rules {
        events: set.events.iter().map(Event::name).cloned().collect(),
        serde: set.args.serde,
    };
    let (sound, broken): (Vec<_>, Vec<_>) =
        std::mem::take(&mut set.events)
            .into_iter()
            .partition(|event| {
                let before = errors.len();
                check_event(event, &rules, errors);
                errors.len() == before
            });
    set.events = sound;
    let left_out = broken.into_iter().chain(excess);
    // What has a name of the set would only be reported once more.
    let left_out = left_out.filter(|event| !is_taken(event));
    set.items
        .extend(left_out.map(|event| Item::Struct(event.item)));
}

fn check_event(event: &Event, rules: &Rules, errors: &Diagnostics) {
    let (item, generics) = (&event.item, &event.item.generics);
    if is_taken(event) {
        errors.error(
            &item.ident,
            format!(
                "`{}` is a name of the event set itself; choose another",
                item.ident
            ),
        );
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
    for attr in event.attrs("cfg") {
        errors.error(
            attr,
            "an event cannot be configured out: put it into a set of its own, with `#[cfg]` on the module",
        );
    }
    let fields = event.fields.iter().flat_map(|field| &field.attrs);
    for attr in fields.filter(|attr| attr.path().is_ident("cfg")) {
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
            if field.name == reserved {
                errors.error(
                    &field.name,
                    format!("a field cannot be called `{reserved}`: a handler parameter of that name takes {meaning}"),
                );
            }
        }
        if let Holds::Copied(ty) = &field.holds {
            check_copied(ty, rules, errors);
        }
    }
}

fn is_taken(event: &Event) -> bool {
    TAKEN.iter().any(|taken| event.item.ident == taken)
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

fn check_copied(ty: &Type, rules: &Rules, errors: &Diagnostics) {
    let last = match ty {
        Type::Path(path) => path.path.segments.last().map(|segment| &segment.ident),
        _ => None,
    };
    let owner = OWNERS
        .iter()
        .find(|(owner, _)| last.is_some_and(|last| last == owner));
    if let Some((owner, instead)) = owner {
        errors.error(
            ty,
            format!("an event is copied for every handler, and a `{owner}` cannot be: borrow it, as `{instead}`"),
        );
        return;
    }
    if last.is_some_and(|last| rules.events.contains(last)) {
        errors.error(
            ty,
            "an event cannot hold another event of its set: every struct of the module is an event, payload types live outside",
        );
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

/// What is checked of a field beyond its own syntax.
struct Rules {
    /// The names of all events.
    events: Vec<Ident>,
    serde: bool,
}

/// Which lifetimes a type has. Those that it binds itself are nothing of the event's.
#[derive(Default)]
struct Lifetimes {
    any: bool,
    /// Other than `'static`.
    borrows: bool,
}

impl Visit<'_> for Lifetimes {
    fn visit_lifetime(&mut self, lifetime: &syn::Lifetime) {
        self.any = true;
        self.borrows |= lifetime.ident != "static";
    }

    fn visit_type_fn_ptr(&mut self, _: &syn::TypeFnPtr) {}
}
