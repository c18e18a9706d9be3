//! What the second stage is given: the path of the event set, its table, and the user's signatures.

use proc_macro2::TokenStream;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Ident, LitStr, Path, Token, braced, bracketed};

use super::check::is_exclusive;
use super::signatures::{Block, Method};

pub(crate) struct Input {
    /// The event set, by the path that the user wrote.
    pub(crate) events: Path,
    pub(crate) rows: Vec<Row>,
    pub(crate) block: Block,
    /// Whether the handler's calls must not overlap.
    pub(crate) exclusive: bool,
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

impl Parse for Input {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let (events, table);
        braced!(events in input);
        braced!(table in input);
        let mut rows = Vec::new();
        while !table.is_empty() {
            rows.push(table.parse()?);
        }
        let mut input = Self {
            events: events.call(Path::parse_mod_style)?,
            rows,
            block: input.parse()?,
            exclusive: false,
        };
        let mut methods = input.block.methods.iter();
        input.exclusive =
            methods.any(|method| is_exclusive(&method.sig) && input.row(method).is_some());
        Ok(input)
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
            fields: fields
                .parse_terminated(Ident::parse, Token![,])?
                .into_iter()
                .collect(),
            reply: match input.parse::<Option<Token![->]>>()? {
                Some(_) => Some(input.parse()?),
                None => None,
            },
        })
    }
}

impl Input {
    /// The event that `method` handles, if any.
    pub(crate) fn row(&self, method: &Method) -> Option<&Row> {
        let name = method.sig.ident.unraw();
        self.rows.iter().find(|row| row.method == name)
    }
}
