//! What the first stage reads of the user's impl block: its head, and the signatures in it. Bodies
//! are skipped unparsed, so that they may be half-typed.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::discouraged::Speculative;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Generics, Path, Signature, Token, Type, Visibility, braced};

use crate::attributes::{allowed, conditions};

/// An inherent impl block.
pub(crate) struct Block {
    /// With the where clause.
    pub(crate) generics: Generics,
    pub(crate) self_ty: Type,
    pub(crate) methods: Vec<Method>,
}

pub(crate) struct Method {
    pub(crate) cfg: Vec<Attribute>,
    /// The lints that the user allowed, on the method or on the block.
    pub(crate) allowed: Vec<Attribute>,
    pub(crate) sig: Signature,
}

const WHERE_TO: &str = "`#[callback_handler]` goes on an impl block: `impl MyHandler { .. }`";

impl Parse for Block {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let head = input.fork();
        let mut on_block = input.call(Attribute::parse_outer)?;
        input.parse::<Option<Token![unsafe]>>()?;
        if !input.peek(Token![impl]) {
            head.call(Attribute::parse_outer)?;
            return Err(syn::Error::new_spanned(
                head.parse::<TokenStream>()?,
                WHERE_TO,
            ));
        }
        input.parse::<Token![impl]>()?;
        let mut generics: Generics = if input.peek(Token![<]) {
            input.parse()?
        } else {
            Generics::default()
        };
        let self_ty = input.parse()?;
        if input.peek(Token![for]) {
            return Err(syn::Error::new_spanned(
                trait_path(&self_ty),
                "`#[callback_handler]` writes the trait impls itself: put it on an inherent `impl MyHandler { .. }`",
            ));
        }
        generics.where_clause = input.parse()?;
        let body;
        braced!(body in input);
        on_block.extend(body.call(Attribute::parse_inner)?);
        let on_block = allowed(&on_block);
        let mut methods = Vec::new();
        while !body.is_empty() {
            let attrs = body.call(Attribute::parse_outer)?;
            body.parse::<Visibility>()?;
            let ahead = body.fork();
            if let Ok(sig) = ahead.parse::<Signature>() {
                body.advance_to(&ahead);
                methods.push(Method {
                    cfg: conditions(&attrs),
                    allowed: on_block.iter().cloned().chain(allowed(&attrs)).collect(),
                    sig,
                });
            }
            skip_rest_of_item(&body)?;
        }
        Ok(Self {
            generics,
            self_ty,
            methods,
        })
    }
}

/// What was parsed as a type turned out to be a trait.
fn trait_path(ty: &Type) -> TokenStream {
    match ty {
        Type::Path(path) => Path::to_token_stream(&path.path),
        other => other.to_token_stream(),
    }
}

/// Skips to after the next `;` or `{ .. }`.
fn skip_rest_of_item(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() {
        match input.parse::<TokenTree>()? {
            TokenTree::Punct(punct) if punct.as_char() == ';' => break,
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => break,
            _ => {}
        }
    }
    Ok(())
}

/// As the second stage reads it: a block of signatures without bodies.
impl ToTokens for Block {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self {
            generics,
            self_ty,
            methods,
        } = self;
        let where_clause = &generics.where_clause;
        tokens.extend(quote!(impl #generics #self_ty #where_clause { #(#methods)* }));
    }
}

impl ToTokens for Method {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { cfg, allowed, sig } = self;
        tokens.extend(quote!(#(#cfg)* #(#allowed)* #sig;));
    }
}
