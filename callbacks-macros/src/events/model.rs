//! What an event set is made of.

use proc_macro2::TokenStream;
use quote::format_ident;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{
    AttrStyle, Attribute, Ident, Item, ItemMod, ItemStruct, Lifetime, Meta, Token, Type, Visibility,
};

use crate::arguments::{EventArgs, EventsArgs};
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
