//! What an event set is made of.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{
    AttrStyle, Attribute, Ident, Item, ItemMod, ItemStruct, Lifetime, Meta, Path, Token, Type,
    Visibility,
};

use crate::arguments::{EventArgs, EventsArgs};
use crate::lints;
use crate::names::handler_method;
use crate::types::{arguments, ungrouped};

/// A module of events.
pub(crate) struct Set {
    pub(crate) args: EventsArgs,
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) name: Ident,
    /// Every struct of the module, in order.
    pub(crate) events: Vec<Event>,
    /// The handler methods of what was meant as an event but is none.
    pub(crate) broken: Vec<Ident>,
    /// All else in the module.
    pub(crate) items: Vec<Item>,
}

/// One struct of the module.
pub(crate) struct Event {
    pub(crate) item: ItemStruct,
    /// `on_this_happened`
    pub(crate) method: Ident,
    /// What its fields are borrowed for.
    pub(crate) lifetime: Option<Lifetime>,
    pub(crate) fields: Vec<Field>,
    /// What its handlers answer, if it is a decision event.
    pub(crate) reply: Option<Type>,
    /// What is wrong with its `#[event(..)]`.
    pub(crate) misread: Option<syn::Error>,
}

pub(crate) struct Field {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) name: Ident,
    pub(crate) holds: Holds,
}

/// How an event holds a field, told by its syntax.
pub(crate) enum Holds {
    /// `&'a T`
    Borrowed(Type),
    /// `Option<&'a T>`
    Optional(Type),
    /// A small value that is copied.
    Copied(Type),
}

impl Set {
    pub(crate) fn parse(args: EventsArgs, item: TokenStream) -> syn::Result<Self> {
        let module = match syn::parse2::<ItemMod>(item.clone()) {
            Ok(module) => module,
            // Half-typed.
            Err(error) if is_module(&item) => return Err(error),
            Err(_) => {
                return Err(syn::Error::new_spanned(
                    item,
                    "`#[callback_events]` goes on a module of structs: `mod events { .. }`",
                ));
            }
        };
        let Some((_, content)) = module.content else {
            return Err(syn::Error::new_spanned(
                &module,
                "`#[callback_events]` needs the body of the module here: write `mod name { .. }`",
            ));
        };
        let (mut events, mut items) = (Vec::new(), Vec::new());
        for item in content {
            match item {
                Item::Struct(item) => events.push(Event::new(item)),
                item => items.push(item),
            }
        }
        // What stands inside the module at its top is said of it as well as what stands before it.
        let outer = |attr| Attribute {
            style: AttrStyle::Outer,
            ..attr
        };
        Ok(Self {
            args,
            attrs: module.attrs.into_iter().map(outer).collect(),
            vis: module.vis,
            name: module.ident,
            events,
            broken: Vec::new(),
            items,
        })
    }
}

/// Whether it begins like a module, however it goes on.
fn is_module(item: &TokenStream) -> bool {
    let head = |input: ParseStream<'_>| {
        input.call(Attribute::parse_outer)?;
        input.parse::<Visibility>()?;
        input.parse::<Token![mod]>()?;
        input.parse::<TokenStream>()
    };
    head.parse2(item.clone()).is_ok()
}

impl Event {
    fn new(mut item: ItemStruct) -> Self {
        let own = |attr: &mut Attribute| attr.path().is_ident("event");
        let own: Vec<_> = item.attrs.extract_if(.., own).collect();
        let (reply, misread) = match reply(&own) {
            Ok(reply) => (reply, None),
            Err(misread) => (None, Some(misread)),
        };
        let method = format_ident!(
            "{}",
            handler_method(&item.ident.unraw().to_string()),
            span = item.ident.span()
        );
        let lifetime = item
            .generics
            .lifetimes()
            .next()
            .map(|param| param.lifetime.clone());
        let fields = item
            .fields
            .iter()
            .filter_map(|field| {
                Some(Field {
                    attrs: field.attrs.clone(),
                    vis: field.vis.clone(),
                    name: field.ident.clone()?,
                    holds: Holds::new(&field.ty),
                })
            })
            .collect();
        Self {
            item,
            method,
            lifetime,
            fields,
            reply,
            misread,
        }
    }

    pub(crate) fn name(&self) -> &Ident {
        &self.item.ident
    }

    pub(crate) fn attrs(&self, name: &'static str) -> impl Iterator<Item = &Attribute> {
        self.item
            .attrs
            .iter()
            .filter(move |attr| attr.path().is_ident(name))
    }
}

/// What `#[event(..)]` says.
fn reply(attrs: &[Attribute]) -> syn::Result<Option<Type>> {
    let (attr, others) = match attrs {
        [] => return Ok(None),
        [attr, others @ ..] => (attr, others),
    };
    if let Some(other) = others.first() {
        let message = "`#[event]` is there already: write it once";
        return Err(syn::Error::new_spanned(other, message));
    }
    let reply = match &attr.meta {
        Meta::List(list) => EventArgs::parse(list.tokens.clone())?.reply,
        _ => None,
    };
    match reply {
        Some(reply) => Ok(Some(reply)),
        None => Err(syn::Error::new_spanned(
            attr,
            "`#[event]` says nothing here: write `#[event(reply = Type)]`, or leave it out",
        )),
    }
}

impl Holds {
    fn new(ty: &Type) -> Self {
        if let Some(target) = borrowed(ty) {
            return Self::Borrowed(target.clone());
        }
        let optional = arguments(ty, "Option").and_then(|of| of.first().copied());
        match optional.and_then(borrowed) {
            Some(target) => Self::Optional(target.clone()),
            None => Self::Copied(ty.clone()),
        }
    }
}

/// The `T` of `&'a T`. What is borrowed for ever is as good as owned.
fn borrowed(ty: &Type) -> Option<&Type> {
    match ungrouped(ty) {
        Type::Reference(reference) if reference.mutability.is_none() => match &reference.lifetime {
            Some(lifetime) if lifetime.ident == "static" => None,
            _ => Some(&reference.elem),
        },
        _ => None,
    }
}

impl Set {
    /// `<'a>`, if any event borrows.
    pub(super) fn generics(&self, lifetime: &TokenStream) -> Option<TokenStream> {
        let borrows = self.events.iter().any(|event| event.lifetime.is_some());
        borrows.then(|| quote!(<#lifetime>))
    }

    /// For what is made of all events.
    pub(super) fn lints(&self) -> TokenStream {
        let odd = lints::odd_types(self.events.iter().map(Event::name));
        let mut events = self.events.iter();
        let hidden = events.any(|event| !matches!(event.item.vis, Visibility::Public(_)));
        let hidden = lints::hidden(hidden);
        quote!(#odd #hidden)
    }

    /// What is made of all events uses those that are deprecated.
    pub(super) fn deprecated(&self) -> Option<TokenStream> {
        self.events.iter().find_map(Event::deprecated)
    }

    /// The decision events, with their indices.
    pub(super) fn decisions(&self) -> impl Iterator<Item = (&Event, u32)> {
        let numbered = self.events.iter().zip(0u32..);
        numbered.filter(|(event, _)| event.reply.is_some())
    }

    pub(super) fn has_decisions(&self) -> bool {
        self.decisions().next().is_some()
    }
}

/// What happens for another variant than that which is asked for, if there is one.
pub(super) fn other(is_there: bool, then: &TokenStream) -> Option<TokenStream> {
    is_there.then(|| quote!(_ => #then,))
}

impl Event {
    /// Where the event or a field is deprecated, or the user allowed it to hold what is.
    pub(super) fn deprecated(&self) -> Option<TokenStream> {
        let fields = self.item.fields.iter().flat_map(|field| &field.attrs);
        let mut attrs = self.item.attrs.iter().chain(fields);
        let is_deprecated = |attr: &Attribute| {
            let path = attr.path();
            path.is_ident("deprecated")
                || (path.is_ident("allow") || path.is_ident("expect"))
                    && attr.to_token_stream().to_string().contains("deprecated")
        };
        lints::deprecated(attrs.any(is_deprecated))
    }

    /// Its name, in docs.
    pub(super) fn shown(&self) -> Ident {
        self.name().unraw()
    }

    /// `Sold<'_>`, or `Tick` if it borrows nothing.
    pub(super) fn ty(&self, lifetime: &TokenStream) -> TokenStream {
        let name = self.name();
        let generics = self.lifetime.as_ref().map(|_| quote!(<#lifetime>));
        quote!(#name #generics)
    }

    /// `Verdict`, or `()` if it is no decision event.
    pub(super) fn reply(&self) -> TokenStream {
        self.reply
            .as_ref()
            .map_or_else(|| quote!(()), |reply| quote!(#reply))
    }

    /// What a handler answers that does nothing.
    pub(super) fn go_on(&self, krate: &Path) -> TokenStream {
        if self.reply.is_none() {
            return quote!(());
        }
        let ty = self.ty(&quote!('_));
        quote!(#krate::__private::go_on::<#ty>())
    }
}
