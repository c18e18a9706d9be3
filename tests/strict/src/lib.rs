//! Handlers and an event set under all lints that a strict user turns on, without the prelude, among
//! items that have the names of what generated code needs.
#![no_implicit_prelude]
#![deny(
    warnings,
    future_incompatible,
    nonstandard_style,
    rust_2018_idioms,
    rust_2021_compatibility,
    rust_2024_compatibility,
    unused,
    elided_lifetimes_in_paths,
    explicit_outlives_requirements,
    let_underscore_drop,
    meta_variable_misuse,
    missing_copy_implementations,
    missing_debug_implementations,
    missing_docs,
    single_use_lifetimes,
    trivial_casts,
    trivial_numeric_casts,
    unit_bindings,
    unreachable_pub,
    unsafe_code,
    unused_import_braces,
    unused_lifetimes,
    unused_macro_rules,
    unused_qualifications,
    unused_results,
    variant_size_differences,
    clippy::field_scoped_visibility_modifiers
)]
// Nothing may allow what is forbidden.
#![forbid(
    deprecated,
    unreachable_patterns,
    clippy::all,
    clippy::pedantic,
    clippy::nursery,
    clippy::as_conversions,
    clippy::arithmetic_side_effects,
    clippy::clone_on_ref_ptr,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_docs_in_private_items,
    clippy::panic,
    clippy::shadow_same,
    clippy::shadow_unrelated,
    clippy::str_to_string,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    clippy::missing_trait_methods
)]

/// Not what it seems.
#[derive(Clone, Copy, Debug)]
pub struct Box;
/// Not what it seems.
#[derive(Clone, Copy, Debug)]
pub struct Option;
/// Not what it seems.
#[derive(Clone, Copy, Debug)]
pub struct Result;
/// Not what it seems.
#[derive(Clone, Copy, Debug)]
pub struct String;
/// Not what it seems.
#[derive(Clone, Copy, Debug)]
pub struct Vec;
/// Not what it seems.
pub trait Send {}
/// Not what it seems.
pub trait Sync {}
/// Not what it seems.
pub trait Fn {}
/// Not what it seems.
pub mod core {}
/// Not what it seems.
pub mod std {}
/// Not what it seems.
pub mod alloc {}
/// Not what it seems.
pub mod callbacks {}

/// What happens in a shop.
#[::callbacks::callback_events(serde)]
pub mod shop {
    /// Something was sold: so many, see [`Self::count`], of one kind, see [`type`](Self::type).
    pub struct Sold<'a> {
        /// What.
        pub item: &'a str,
        /// To whom, if that is known.
        pub buyer: ::core::option::Option<&'a str>,
        /// How many.
        pub count: u32,
        /// Of which kind: that has to be a raw name.
        pub r#type: &'a str,
    }

    /// A minute went by.
    pub struct Tick;

    /// The safe was opened. With what, nobody sees.
    pub struct Opened<'a> {
        /// With what.
        code: &'a str,
    }

    /// Opens the safe.
    #[must_use]
    pub const fn opened(code: &str) -> Opened<'_> {
        Opened { code }
    }

    /// May this be sold?
    #[event(reply = ::callbacks::Decision<::std::string::String, u32>)]
    pub struct Offer<'a> {
        /// What.
        pub item: &'a str,
    }
}

impl ::callbacks::Reply<shop::owned::Offer> for ::callbacks::Decision<::std::string::String, u32> {
    fn go_on() -> Self {
        Self::Continue
    }

    fn stop(reason: &str) -> Self {
        Self::Stop(::std::borrow::ToOwned::to_owned(reason))
    }

    fn settle(self, _: &mut shop::owned::Offer) -> ::core::ops::ControlFlow<Self> {
        ::core::ops::ControlFlow::Break(self)
    }
}

/// Has methods of both sorts, for a set of its own and for the built-in one.
#[derive(Debug)]
pub struct Ledger<T> {
    /// What is written beside each line.
    mark: T,
}

#[::callbacks::callback_handler(events = shop)]
impl<T> Ledger<T>
where
    T: ::core::fmt::Debug + ::core::marker::Send + ::core::marker::Sync,
{
    /// Called for every sale.
    fn on_sold(&self, item: &str, buyer: ::core::option::Option<&str>, count: u32) {
        ::tracing::info!(mark = ?self.mark, item, buyer, count);
    }

    /// Called every minute.
    async fn on_tick(
        &self,
        run: &::callbacks::Run<'_>,
    ) -> ::core::result::Result<(), ::callbacks::BoxError> {
        ::core::future::ready(()).await;
        ::tracing::info!(mark = ?self.mark, run = run.name());
        ::core::result::Result::Ok(())
    }

    /// Asked before a sale.
    fn on_offer(&self, item: &str) -> ::callbacks::Decision<::std::string::String, u32> {
        ::tracing::info!(mark = ?self.mark, item);
        ::callbacks::Decision::Answer(1)
    }
}

#[::callbacks::callback_handler]
impl<T> Ledger<T>
where
    T: ::core::fmt::Debug + ::core::marker::Send + ::core::marker::Sync,
{
    /// Called where a model is done.
    async fn on_llm_end(&self, event: &::callbacks::events::LlmEnd<'_>) {
        ::core::future::ready(()).await;
        ::tracing::info!(mark = ?self.mark, text = %event.response.text());
    }
}

/// Counts by itself.
#[derive(Debug)]
pub struct Counter<'c, const N: usize> {
    /// How many of each.
    counts: [u32; N],
    /// What is counted.
    of: &'c str,
}

#[::callbacks::callback_handler(events = shop)]
impl<const N: usize> Counter<'static, N> {
    /// Called for every sale.
    fn on_sold(&mut self, item: &str, count: u32) {
        if let ::core::option::Option::Some(first) = self.counts.first_mut()
            && self.of == item
        {
            *first = first.saturating_add(count);
        }
    }

    /// Asked before a sale.
    fn on_offer(&self) -> ::callbacks::Decision<::std::string::String, u32> {
        ::tracing::info!(counted = self.counts.len());
        ::callbacks::Decision::Continue
    }
}

/// A value for whoever emits.
pub fn callbacks() -> ::callbacks::Callbacks {
    ::callbacks::Callbacks::new()
        .with::<shop::Events, _>(Ledger { mark: 7 })
        .with::<::callbacks::events::Events, _>(Ledger { mark: "seven" })
        .with(Counter {
            counts: [0; 2],
            of: "tea",
        })
}
