//! The arguments of the attributes.

use proc_macro2::{Group, TokenStream};
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Ident, LitStr, Path, Token, Type};

use crate::names::closest;
use crate::types::text;

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
        if let Some(mistake) = unnamed(args.clone()) {
            return Err(mistake);
        }
        parse(args, &["events"], usage, |name, input| {
            if let Some(mistake) = listed(&input.fork()) {
                return Err(mistake);
            }
            let path = path(name, input, usage)?;
            if let Some((_, item)) = module_of(&path) {
                let message = format!("`events` is the module of the set, without `::{item}`");
                return Err(syn::Error::new_spanned(path, message));
            }
            events = Some(path);
            Ok(())
        })?;
        Ok(Self {
            events: events.unwrap_or_else(built_in),
        })
    }
}

fn built_in() -> Path {
    syn::parse_quote!(::callbacks::events)
}

/// What arguments with a mistake in them mean.
pub(crate) struct Guess {
    pub(crate) events: Path,
    /// Whether it is clear: what does not fit the set is a mistake as well.
    pub(crate) sure: bool,
}

impl Guess {
    pub(crate) fn new(args: TokenStream) -> Self {
        let arguments = arguments(args);
        let alone = arguments.len() == 1;
        let named = arguments.into_iter().filter(Argument::is_set);
        let mut sets = named.flat_map(|argument| argument.sets);
        let (first, others) = (sets.next(), sets.next().is_some());
        let sure = alone && first.is_some() && !others;
        let first = first.unwrap_or_else(built_in);
        let events = module_of(&first).map_or(first, |(module, _)| module);
        Self { events, sure }
    }
}

/// `events = shop`, `event(shop, till)`, `blocking`, `shop::events`
struct Argument {
    /// None, for a path that nobody said what it is.
    name: Option<Ident>,
    sets: Vec<Path>,
}

impl Argument {
    /// Whether it must be meant as a set: a name alone can be that of anything.
    fn is_set(&self) -> bool {
        let path = self.name.is_none() && self.sets.iter().any(|set| set.segments.len() > 1);
        path || self.is_events()
    }

    fn is_events(&self) -> bool {
        let name = self.name.as_ref();
        name.is_some_and(|name| closest(&name.to_string(), ["events"]).is_some())
    }
}

impl Parse for Argument {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let path = input.call(Path::parse_mod_style)?;
        let name = path.get_ident().cloned();
        if input.is_empty() || input.peek(Token![,]) {
            let alone = Self {
                name,
                sets: Vec::new(),
            };
            let unnamed = Self {
                name: None,
                sets: vec![path],
            };
            return Ok(if alone.is_events() { alone } else { unnamed });
        }
        input.parse::<Option<Token![=]>>()?;
        let sets = if input.peek(LitStr) {
            let text: LitStr = input.parse()?;
            vec![text.parse_with(Path::parse_mod_style)?]
        } else if let Ok(group) = input.fork().parse::<Group>() {
            input.parse::<Group>()?;
            paths.parse2(group.stream())?
        } else {
            vec![input.call(Path::parse_mod_style)?]
        };
        Ok(Self { name, sets })
    }
}

/// `shop, till`
fn paths(input: ParseStream<'_>) -> syn::Result<Vec<Path>> {
    let paths = input.parse_terminated(Path::parse_mod_style, Token![,])?;
    Ok(paths.into_iter().collect())
}

fn arguments(args: TokenStream) -> Vec<Argument> {
    let parser = Punctuated::<Argument, Token![,]>::parse_terminated;
    parser.parse2(args).into_iter().flatten().collect()
}

const ONE_SET: &str = "`events` is one set: write a block for each";

/// What is wrong with a set that is given without `events =`.
fn unnamed(args: TokenStream) -> Option<syn::Error> {
    let arguments = arguments(args);
    let unnamed = arguments.iter().find(|argument| argument.name.is_none())?;
    let path = unnamed.sets.first()?;
    let shown = text(path);
    let cure = match arguments.len() {
        1 => format!("for a set of that name write `events = {shown}`"),
        _ => ONE_SET.to_owned(),
    };
    let message = format!("unknown argument `{shown}`; {cure}");
    Some(syn::Error::new_spanned(path, message))
}

/// What is wrong with `events(shop)` and `events = [shop, till]`.
fn listed(input: ParseStream<'_>) -> Option<syn::Error> {
    input.parse::<Option<Token![=]>>().ok()?;
    let group: Group = input.parse().ok()?;
    let message = match &paths.parse2(group.stream()).ok()?[..] {
        [set] => format!("`events` is a path: write `events = {}`", text(set)),
        _ => ONE_SET.to_owned(),
    };
    Some(syn::Error::new_spanned(group, message))
}

/// The `shop` of `shop::Events`, which is the type of the set and not its module, and of `shop::Sold`.
fn module_of(path: &Path) -> Option<(Path, Ident)> {
    let mut module = path.clone();
    let item = module.segments.pop()?.ident;
    module.segments.pop_punct();
    let is_type = item.to_string().starts_with(char::is_uppercase);
    (is_type && !module.segments.is_empty()).then_some((module, item))
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
