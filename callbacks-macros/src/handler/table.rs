//! What the second stage is given: the path of the event set, its table, and the user's signatures.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Ident, LitStr, Path, Token, braced, bracketed, parse_quote};

use super::check::is_mutable;
use super::signatures::{Block, Method};
use crate::attributes::predicates;
use crate::types::text;

pub(crate) struct Input {
    /// The event set, by the path that the user wrote.
    pub(crate) events: Path,
    pub(crate) rows: Vec<Row>,
    /// Methods for events that are wrong themselves, which is reported where they are.
    pub(crate) broken: Vec<Ident>,
    /// Whether the set is only a guess (`_`), so that what does not fit it is no mistake.
    pub(crate) guessed: bool,
    pub(crate) block: Block,
}

/// One of the two kinds of handler that a block can be, and when it is that.
pub(crate) struct Kind {
    /// Whether the handler's calls must not overlap: a method takes `&mut self`.
    pub(crate) exclusive: bool,
    /// None, if it does not depend on what is configured out.
    pub(crate) cfg: Option<Attribute>,
}

/// `on_sold = Sold ['_] { item, count }`, or `on_order = Order ['_] { id } -> "Verdict"`
pub(crate) struct Row {
    pub(crate) deprecated: Vec<Attribute>,
    pub(crate) method: Ident,
    pub(crate) event: Ident,
    /// Whether the event has a lifetime.
    pub(crate) borrows: bool,
    pub(crate) fields: Vec<Ident>,
    /// What a decision event is answered with, to be shown.
    pub(crate) reply: Option<LitStr>,
}

/// How generated code names what it needs: by the path of the set that the user wrote.
pub(crate) struct Paths<'a> {
    pub(crate) events: &'a Path,
    /// The module that has the runtime as well.
    pub(crate) private: TokenStream,
}

impl Paths<'_> {
    /// `shop::Sold<'_>`, or `shop::Tick` if it borrows nothing.
    pub(crate) fn event(&self, row: &Row, lifetime: &TokenStream) -> TokenStream {
        let (events, event) = (self.events, &row.event);
        let lifetime = row.borrows.then(|| quote!(<#lifetime>));
        quote!(#events::#event #lifetime)
    }
}

impl Parse for Input {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let (events, table, broken);
        braced!(events in input);
        braced!(table in input);
        braced!(broken in input);
        let mut rows = Vec::new();
        while !table.is_empty() {
            rows.push(table.parse()?);
        }
        Ok(Self {
            events: events.call(Path::parse_mod_style)?,
            rows,
            broken: idents(&broken)?,
            guessed: input.parse::<Option<Token![_]>>()?.is_some(),
            block: input.parse()?,
        })
    }
}

impl Parse for Row {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let deprecated = input.call(Attribute::parse_outer)?;
        let method = input.parse()?;
        input.parse::<Token![=]>()?;
        let event = input.parse()?;
        let (lifetime, fields);
        bracketed!(lifetime in input);
        braced!(fields in input);
        Ok(Self {
            deprecated,
            method,
            event,
            borrows: !lifetime.parse::<TokenStream>()?.is_empty(),
            fields: idents(&fields)?,
            reply: match input.parse::<Option<Token![->]>>()? {
                Some(_) => Some(input.parse()?),
                None => None,
            },
        })
    }
}

fn idents(input: ParseStream<'_>) -> syn::Result<Vec<Ident>> {
    let idents = input.parse_terminated(Ident::parse, Token![,])?;
    Ok(idents.into_iter().collect())
}

impl Input {
    pub(crate) fn paths(&self) -> Paths<'_> {
        let events = &self.events;
        Paths {
            events,
            private: quote!(#events::__private),
        }
    }

    /// The path of the set, as it is shown.
    pub(crate) fn shown(&self) -> String {
        text(&self.events).trim_start_matches("::").to_owned()
    }

    /// The event that `method` handles, if any.
    pub(crate) fn row(&self, method: &Method) -> Option<&Row> {
        let name = method.sig.ident.unraw();
        self.rows.iter().find(|row| row.method == name)
    }

    /// Whether `method` is for an event that is wrong itself.
    pub(crate) fn is_broken(&self, method: &Method) -> bool {
        self.broken.contains(&method.sig.ident.unraw())
    }

    /// Whether a method makes its handler exclusive.
    pub(crate) fn is_exclusive(&self, method: &Method) -> bool {
        // One for an event that is wrong or misspelt is reported for that alone.
        let handles =
            self.row(method).is_some() || method.sig.ident.unraw().to_string().starts_with("on_");
        method.sig.asyncness.is_none() && is_mutable(&method.sig) && handles
    }

    /// What the block is: both kinds, if every method that makes it exclusive can be configured out.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        let kind = |exclusive, cfg| Kind { exclusive, cfg };
        let methods = self.block.methods.iter();
        let mutable: Vec<_> = methods.filter(|method| self.is_exclusive(method)).collect();
        if mutable.iter().any(|method| method.cfg.is_empty()) {
            return vec![kind(true, None)];
        }
        if mutable.is_empty() {
            return vec![kind(false, None)];
        }
        let there = mutable.iter().map(|method| {
            let predicates = predicates(&method.cfg);
            quote!(all(#(#predicates),*))
        });
        let any = quote!(any(#(#there),*));
        vec![
            kind(true, Some(parse_quote!(#[cfg(#any)]))),
            kind(false, Some(parse_quote!(#[cfg(not(#any))]))),
        ]
    }
}
