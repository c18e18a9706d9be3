//! Where tokens are said to stand.

use proc_macro2::{Span, TokenStream};

/// The tokens, all in one place: where rustc finds several, it points at the whole attribute.
pub(crate) fn located(tokens: TokenStream, at: Span) -> TokenStream {
    let located = tokens.into_iter().map(|mut token| {
        // Which crate `$crate` means is told by its span.
        if token.to_string() != "$crate" {
            token.set_span(at);
        }
        token
    });
    located.collect()
}
