//! What was meant by a name that is none of the event set's: "did you mean", and what there is.

use syn::Ident;
use syn::ext::IdentExt;

use super::table::{Input, Row};
use crate::diagnostics::Diagnostics;
use crate::names::{closest, list};
use crate::types::text;

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
pub(super) fn no_event(name: &str, input: &Input) -> Option<String> {
    let methods = methods(input);
    let near = closest(&name.to_lowercase(), methods.iter().map(String::as_str));
    if !name.starts_with("on_") {
        let meant = near.filter(|near| is_slip(name, near))?;
        return Some(format!(
            "`{name}` is not called for any event; did you mean `{meant}`?"
        ));
    }
    let events = text(&input.events);
    let events = events.trim_start_matches("::");
    let cure = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!(
            "its handler methods are {}; for the events of another set write `#[callback_handler(events = path::to::set)]`; for a helper, choose a name without `on_`",
            list(&methods)
        ),
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
    let bare = |name: &str| name.replace('_', "").to_lowercase();
    let Some(event) = near.strip_prefix("on_").map(bare) else {
        return false;
    };
    let name = bare(name);
    ["on", "o", "n", "onn", "oon"]
        .map(|on| format!("{on}{event}"))
        .contains(&name)
}

fn methods(input: &Input) -> Vec<String> {
    let methods = input.rows.iter().map(|row| &row.method);
    methods.chain(&input.broken).map(Ident::to_string).collect()
}
