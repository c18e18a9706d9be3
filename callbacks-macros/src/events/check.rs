//! What an event must be. An event that is not is reported once and then left out of the set, so
//! that nothing made from it is reported a second time.

use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::visit::Visit;
use syn::{Fields, Ident, Item, Path, Token, Type, Visibility};

use super::fields::{Lifetimes, Rules, check_held};
use super::model::{Event, Set};
use crate::attributes::is_condition;
use crate::diagnostics::Diagnostics;

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
    drop_taken_items(set, errors);
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
fn drop_taken_items(set: &mut Set, errors: &Diagnostics) {
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
