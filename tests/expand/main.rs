//! What the macros write, as a person reads it. After a change: `UPDATE_EXPECT=1 cargo test -p
//! callbacks-tests --test expand`.
//!
//! A proc-macro crate exports macros alone, so its modules are compiled in here.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "they are written for another crate"
)]

#[path = "../../callbacks-macros/src/arguments.rs"]
mod arguments;
#[path = "../../callbacks-macros/src/attributes.rs"]
mod attributes;
#[path = "../../callbacks-macros/src/diagnostics.rs"]
mod diagnostics;
#[path = "../../callbacks-macros/src/events/mod.rs"]
mod events;
#[path = "../../callbacks-macros/src/handler/mod.rs"]
mod handler;
#[path = "../../callbacks-macros/src/lints.rs"]
mod lints;
#[path = "../../callbacks-macros/src/names.rs"]
mod names;
#[path = "../../callbacks-macros/src/spans.rs"]
mod spans;
#[path = "../../callbacks-macros/src/types.rs"]
mod types;

mod robust;
mod spans_of_glue;

use expect_test::{ExpectFile, expect_file};
use proc_macro2::{TokenStream, TokenTree};
use quote::quote;

/// The table that the event set below makes.
fn table() -> TokenStream {
    quote! {
        on_sold = Sold ['_] { item, count }
        on_tick = Tick [] {}
        on_order = Order ['_] { id } -> "Verdict"
    }
}

/// Both stages, as the table joins them.
fn handler(block: &TokenStream) -> TokenStream {
    let table = table();
    let first = handler::expand(quote!(events = shop), block);
    // The user's block comes first, unchanged; then `shop::__private::table! { { shop } .. }`.
    let mut rest = first
        .into_iter()
        .skip(block.clone().into_iter().count())
        .collect::<Vec<_>>();
    let Some(TokenTree::Group(input)) = rest.pop() else {
        panic!("no call of the table: {rest:?}");
    };
    let macro_path = TokenStream::from_iter(rest).to_string().replace(' ', "");
    assert_eq!(macro_path, "shop::__private::table!");
    let mut input = input.stream().into_iter();
    let events = input.next();
    let block = input.collect::<TokenStream>();
    handler::expand_with_table(quote!(#events { #table } {} #block))
}

fn check(expansion: TokenStream, expected: &ExpectFile) {
    let file = syn::parse2(expansion).expect("the expansion is valid Rust");
    expected.assert_eq(&prettyplease::unparse(&file));
}

#[test]
fn sync_handler() {
    let block = quote! {
        impl Printer {
            fn on_sold(&self, item: &str) {
                print!("{item}");
            }
            fn helper(&self) {}
        }
    };
    check(handler(&block), &expect_file!["written/sync_handler.rs"]);
}

#[test]
fn async_handler() {
    let block = quote! {
        impl Saver {
            async fn on_sold(&self, item: &str, run: &Run<'_>) -> io::Result<()> {
                self.save(run.id(), item).await
            }
        }
    };
    check(handler(&block), &expect_file!["written/async_handler.rs"]);
}

#[test]
fn mixed_handler() {
    let block = quote! {
        impl<T: Debug + Send + Sync> Log<T> {
            fn on_sold(&self, event: &shop::Sold<'_>) {}
            #[cfg(feature = "clock")]
            async fn on_tick(&self) {}
        }
    };
    check(handler(&block), &expect_file!["written/mixed_handler.rs"]);
}

#[test]
fn exclusive_handler() {
    let block = quote! {
        impl Counter {
            fn on_sold(&mut self, count: u32) {
                self.0 += count;
            }

            fn on_tick(&self) {}
        }
    };
    check(
        handler(&block),
        &expect_file!["written/exclusive_handler.rs"],
    );
}

#[test]
fn deciding_handler() {
    let block = quote! {
        impl Clerk {
            fn on_order(&self, id: &str) -> Verdict {
                Verdict::Yes
            }
        }
    };
    check(
        handler(&block),
        &expect_file!["written/deciding_handler.rs"],
    );
}

#[test]
fn decision_event() {
    let expansion = events::expand(
        quote!(),
        &quote! {
            mod shop {
                /// May this order go out?
                #[event(reply = super::Verdict)]
                pub struct Order<'a> {
                    pub id: &'a str,
                }
            }
        },
        "lib.rs:1:1",
    );
    check(expansion, &expect_file!["written/decision_event.rs"]);
}

#[test]
fn event_set() {
    let expansion = events::expand(
        quote!(),
        &quote! {
            /// What happens in a shop.
            pub mod shop {
                /// Something was sold.
                pub struct Sold<'a> {
                    /// What.
                    pub item: &'a str,
                    /// How many.
                    pub count: u32,
                }
                /// A minute went by.
                pub struct Tick;
            }
        },
        "lib.rs:1:1",
    );
    check(expansion, &expect_file!["written/event_set.rs"]);
}

/// The user's item comes out as it went in, even where nothing can be made of it.
#[test]
fn the_item_stays_whatever_happens() {
    let items = [
        quote!(
            fn lost() {}
        ),
        quote!(
            impl Trait for Type {}
        ),
        quote!(
            impl Half {
                fn on_sold(&self, item: ) {}
            }
        ),
        quote!(
            impl Half {
                fn on_sold(&self) {
                    let x = ;
                    let y = x.;
                }
            }
        ),
    ];
    for item in items {
        let expansion = handler::expand(quote!(events = shop), &item);
        assert!(
            expansion.to_string().starts_with(&item.to_string()),
            "{expansion}"
        );
    }
    let broken = quote!(
        struct NoModule;
    );
    let expansion = events::expand(quote!(), &broken, "lib.rs:1:1");
    assert!(expansion.to_string().starts_with(&broken.to_string()));
}
