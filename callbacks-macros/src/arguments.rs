//! The arguments of the attributes.

use proc_macro2::TokenStream;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Ident, LitStr, Path, Token, Type};

use crate::names::closest;

/// `#[callback_handler(events = path::to::set)]`
pub(crate) struct HandlerArgs {
    pub(crate) events: Path,
}

/// `#[callback_events(crate = path, serde, adapt = path)]`
pub(crate) struct EventsArgs {
    /// Where the runtime is.
    pub(crate) krate: Path,
    /// Whether the owned twins implement serde's traits.
    pub(crate) serde: bool,
    /// What is put around every handler when it is registered.
    pub(crate) adapt: Option<Path>,
}

impl HandlerArgs {
    pub(crate) fn parse(args: TokenStream) -> syn::Result<Self> {
        let mut events = None;
        let usage = "events = path::to::set";
        parse(args, &["events"], usage, |name, input| {
            let path = path(name, input, usage)?;
            if module_of(&path).is_some() {
                let message = "`events` is the module of the set, without `::Events`";
                return Err(syn::Error::new_spanned(path, message));
            }
            events = Some(path);
            Ok(())
        })?;
        Ok(Self {
            events: events.unwrap_or_else(Self::built_in),
        })
    }

    fn built_in() -> Path {
        syn::parse_quote!(::callbacks::events)
    }

    /// What arguments with a mistake in them mean, if that is clear: a name alone says nothing of the set.
    pub(crate) fn guess(args: TokenStream) -> Option<Self> {
        let parser = |input: ParseStream<'_>| {
            let mut events = None;
            for argument in Punctuated::<Guess, Token![,]>::parse_terminated(input)? {
                events = argument.events.or(events);
            }
            Ok(events)
        };
        let events = parser.parse2(args).ok()?;
        Some(Self {
            events: events.unwrap_or_else(Self::built_in),
        })
    }
}

/// `blocking`, or `event = path::to::set::Events`
struct Guess {
    events: Option<Path>,
}

impl Parse for Guess {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let name: Ident = input.parse()?;
        if input.is_empty() || input.peek(Token![,]) {
            return Ok(Self { events: None });
        }
        input.parse::<Token![=]>()?;
        let events = input.call(Path::parse_mod_style)?;
        if closest(&name.to_string(), ["events"]).is_none() {
            return Err(syn::Error::new(name.span(), "another argument"));
        }
        Ok(Self {
            events: module_of(&events).or(Some(events)),
        })
    }
}

/// The `shop` of `shop::Events`, which is the type of the set and not its module.
fn module_of(path: &Path) -> Option<Path> {
    let mut module = path.clone();
    let last = module.segments.pop()?;
    module.segments.pop_punct();
    (last.ident == "Events").then_some(module)
}

impl EventsArgs {
    pub(crate) fn parse(args: TokenStream) -> syn::Result<Self> {
        let (mut krate, mut serde, mut adapt) = (None, false, None);
        parse(
            args,
            &["crate", "serde", "adapt"],
            "crate = path::to::callbacks`, `serde` and `adapt = path::to::function",
            |name, input| {
                if name == "crate" {
                    krate = Some(from_anywhere(path(
                        name,
                        input,
                        "crate = path::to::callbacks",
                    )?)?);
                } else if name == "adapt" {
                    adapt = Some(path(name, input, "adapt = path::to::function")?);
                } else {
                    serde = true;
                }
                Ok(())
            },
        )?;
        Ok(Self {
            krate: krate.unwrap_or_else(|| syn::parse_quote!(::callbacks)),
            serde,
            adapt,
        })
    }
}

/// What is used in several modules.
fn from_anywhere(path: Path) -> syn::Result<Path> {
    match path.segments.first() {
        Some(first) if first.ident == "self" || first.ident == "super" => {
            let message = "`crate` is used inside the module and further down: write a path that holds everywhere, as `crate::..` or `::..`";
            Err(syn::Error::new_spanned(path, message))
        }
        _ => Ok(path),
    }
}

/// `#[event(reply = Type)]`
pub(crate) struct EventArgs {
    /// What its handlers answer.
    pub(crate) reply: Option<Type>,
}

impl EventArgs {
    pub(crate) fn parse(args: TokenStream) -> syn::Result<Self> {
        let mut reply = None;
        let usage = "reply = Type";
        parse(args, &["reply"], usage, |name, input| {
            equals(name, input, usage)?;
            reply = Some(input.parse()?);
            Ok(())
        })?;
        Ok(Self { reply })
    }
}

fn path(name: &Ident, input: ParseStream<'_>, usage: &str) -> syn::Result<Path> {
    equals(name, input, usage)?;
    input.call(Path::parse_mod_style)
}

/// The `=` behind a name, and that there is something behind it.
fn equals(name: &Ident, input: ParseStream<'_>, usage: &str) -> syn::Result<()> {
    let equals = input.parse::<Option<Token![=]>>()?;
    if equals.is_none() || input.is_empty() {
        let message = format!("`{name}` needs a value: write `{usage}`");
        return Err(syn::Error::new(name.span(), message));
    }
    if input.peek(LitStr) {
        let text: LitStr = input.parse()?;
        let message = format!("`{name}` is no text: write `{name} = {}`", text.value());
        return Err(syn::Error::new(text.span(), message));
    }
    Ok(())
}

/// Parses arguments that may stand once each, in any order.
fn parse(
    args: TokenStream,
    known: &[&str],
    usage: &str,
    mut argument: impl FnMut(&Ident, ParseStream<'_>) -> syn::Result<()>,
) -> syn::Result<()> {
    let parser = |input: ParseStream<'_>| {
        let mut seen = Vec::new();
        while !input.is_empty() {
            // `crate` is a keyword, so `Ident::parse` would not take it.
            let Ok(name) = input.call(<Ident as syn::ext::IdentExt>::parse_any) else {
                return Err(input.error(format!("expected an argument: `{usage}`")));
            };
            let text = name.to_string();
            if !known.contains(&text.as_str()) {
                let cure = match closest(&text, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("the arguments are `{usage}`"),
                };
                let message = format!("unknown argument `{text}`; {cure}");
                return Err(syn::Error::new(name.span(), message));
            }
            if seen.contains(&text) {
                let message = format!("`{text}` is given twice; leave one out");
                return Err(syn::Error::new(name.span(), message));
            }
            argument(&name, input)?;
            seen.push(text);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(())
    };
    parser.parse2(args)
}
