//! What was meant by a name that is none of the event set's: "did you mean", and what there is.

use syn::ext::IdentExt;
use syn::{FnArg, Ident, Pat, ReturnType, Type};

use super::signatures::Method;
use super::table::{Input, Row};
use crate::diagnostics::Diagnostics;
use crate::names::{closest, list, synonym};
use crate::types::{arguments, imported};

/// Reports a block in which nothing is called.
pub(super) fn no_methods(input: &Input, errors: &Diagnostics) {
    // One that lacks nothing but `on_` is meant, most likely.
    let is_meant = |row: &&Row| {
        let mut methods = input.block.methods.iter();
        methods.any(|method| row.method == format!("on_{}", method.sig.ident.unraw()))
    };
    let example = input.rows.iter().find(is_meant).or(input.rows.first());
    let example = example.map(|row| {
        let reply = row
            .reply
            .as_ref()
            .map(|reply| format!(" -> {}", reply.value()));
        format!(
            ", like `fn {}(&self){}`",
            row.method,
            reply.unwrap_or_default()
        )
    });
    let example = example.unwrap_or_default();
    errors.error(
        &input.block.self_ty,
        format!("no handler methods: name one after an event{example}"),
    );
}

/// What is wrong with a method that no event is handled by, unless it is a helper.
pub(super) fn no_event(method: &Method, input: &Input) -> Option<String> {
    let name = method.sig.ident.unraw().to_string();
    let methods = methods(input);
    let mut known = methods.iter().map(String::as_str);
    if !name.starts_with("on_") {
        let slip = known.find(|known| is_slip(&name, known));
        let meant = slip.map(str::to_owned);
        let meant = meant.or_else(|| unmarked(method, &name, input))?;
        return Some(format!(
            "`{name}` is not called for any event; did you mean `{meant}`?"
        ));
    }
    let events = input.shown();
    let lower = name.to_lowercase();
    let near = synonym(&lower, known.clone()).or_else(|| closest(&lower, known));
    let cure = if let Some(near) = near {
        format!("did you mean `{near}`?")
    } else {
        let other = if events == "callbacks::events" {
            "write `#[callback_handler(events = path::to::set)]`, on a block of their own"
        } else {
            "write a block of their own, for the built-in ones without `events`"
        };
        format!(
            "its handler methods are {}; for the events of another set {other}; for a helper, choose a name without `on_`",
            list(&methods)
        )
    };
    Some(format!(
        "`{events}` has no event handled by `{name}`; {cure}"
    ))
}

/// What is wrong with a parameter that is no field of the event.
pub(super) fn unknown_field(name: &str, row: &Row) -> String {
    let fields: Vec<String> = row
        .fields
        .iter()
        .map(|field| field.unraw().to_string())
        .collect();
    let unused = name.strip_prefix('_').is_some_and(|bare| {
        bare == "run" || bare == "event" || fields.iter().any(|field| field == bare)
    });
    let near = closest(name, fields.iter().map(String::as_str));
    let cure = match near {
        _ if unused => "leave an unused parameter out".to_owned(),
        Some(near) => format!("did you mean `{near}`?"),
        None if fields.is_empty() => "only `run` and `event` are there".to_owned(),
        None => format!(
            "its fields are {}, and `run` and `event` are always there",
            list(&fields)
        ),
    };
    format!("event `{}` has no field `{name}`; {cure}", row.event)
}

/// Whether a helper method is so near to a handler method that it must be meant as one: `onllm_end`,
/// `onn_llm_end`. With a word of its own before it, such as in `is_closed` or `to_text`, it is not.
fn is_slip(name: &str, near: &str) -> bool {
    let Some(event) = near.strip_prefix("on_") else {
        return false;
    };
    let name = letters(name).flat_map(char::to_lowercase);
    ["on", "o", "n", "onn", "oon"]
        .iter()
        .any(|on| on.chars().chain(letters(event)).eq(name.clone()))
}

fn letters(name: &str) -> impl Iterator<Item = char> + Clone {
    name.chars().filter(|&c| c != '_')
}

/// What a method is meant as that is named after an event, but without `on_`: `llm_end`, `handle_llm_end`.
/// Such may be the name of a helper as well; but not where the event has no method, and this one takes and
/// returns what its method would.
fn unmarked(method: &Method, name: &str, input: &Input) -> Option<String> {
    let event = name.strip_prefix("handle_").unwrap_or(name);
    // A single word, such as `text` or `retry`, says nothing of an event.
    let meant = event.contains('_').then(|| format!("on_{event}"))?;
    let row = input.rows.iter().find(|row| row.method == meant)?;
    let mut others = input.block.methods.iter();
    let is_handled = others.any(|other| other.sig.ident.unraw() == meant);
    (!is_handled && fits(method, row)).then_some(meant)
}

/// Whether a method takes and returns what one for this event does.
fn fits(method: &Method, row: &Row) -> bool {
    let takes = method.sig.inputs.iter().all(|input| match input {
        FnArg::Receiver(_) => true,
        FnArg::Typed(param) => matches!(&*param.pat, Pat::Ident(pat) if {
            let name = pat.ident.unraw().to_string();
            let name = name.trim_start_matches('_');
            name == "run" || name == "event" || row.fields.iter().any(|field| field.unraw() == name)
        }),
    });
    // `Result<(), E>`, or the reply, or a `Result` of that.
    let is_answer = |ty: &Type| match &row.reply {
        Some(reply) => imported(ty) == reply.value(),
        None => matches!(ty, Type::Tuple(tuple) if tuple.elems.is_empty()),
    };
    let returns = match &method.sig.output {
        ReturnType::Default => true,
        ReturnType::Type(_, ty) => {
            let result = arguments(ty, "Result").and_then(|of| of.first().copied());
            is_answer(result.unwrap_or(ty))
        }
    };
    method.sig.receiver().is_some() && takes && returns
}

fn methods(input: &Input) -> Vec<String> {
    let methods = input.rows.iter().map(|row| &row.method);
    methods.chain(&input.broken).map(Ident::to_string).collect()
}
