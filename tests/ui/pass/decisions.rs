#![deny(warnings, missing_docs, missing_debug_implementations, unreachable_pub, unused, elided_lifetimes_in_paths)]
#![no_implicit_prelude]

//! Strict.

/// Shadowed names.
#[allow(dead_code)]
mod shadowed {
    pub(crate) struct Option;
    pub(crate) struct Result;
    pub(crate) struct Box;
}
#[allow(unused_imports)]
use shadowed::*;

/// Nothing but questions.
#[::callbacks::callback_events(serde)]
pub mod office {
    /// May it?
    #[event(reply = super::Verdict)]
    #[non_exhaustive]
    pub struct Order<'a> {
        /// Which.
        pub id: &'a str,
    }

    /// Shall it?
    #[event(reply = super::Verdict)]
    pub struct Close {}
}

/// One question beside other events.
#[::callbacks::callback_events]
mod mixed {
    pub struct Opened {}

    #[event(reply = Answer)]
    pub struct Question<'a> {
        pub text: &'a str,
    }

    #[derive(Debug)]
    pub enum Answer {
        Fine,
    }
}

/// An answer.
#[derive(Debug)]
pub struct Verdict;

impl<E> ::callbacks::Reply<E> for Verdict {
    fn go_on() -> Self {
        Verdict
    }

    fn stop(_: &str) -> Self {
        Verdict
    }

    fn settle(self, _: &mut E) -> ::core::ops::ControlFlow<Self> {
        ::core::ops::ControlFlow::Break(self)
    }
}

impl<E> ::callbacks::Reply<E> for mixed::Answer {
    fn go_on() -> Self {
        mixed::Answer::Fine
    }

    fn stop(_: &str) -> Self {
        mixed::Answer::Fine
    }

    fn settle(self, _: &mut E) -> ::core::ops::ControlFlow<Self> {
        ::core::ops::ControlFlow::Break(self)
    }
}

/// Answers in all ways.
#[derive(Debug)]
pub struct Clerk;

#[::callbacks::callback_handler(events = office)]
impl Clerk {
    fn on_order(&self, id: &str) -> Verdict {
        let _ = id;
        Verdict
    }

    async fn on_close(&self, run: &::callbacks::Run<'_>) -> ::core::result::Result<Verdict, ::callbacks::BoxError> {
        let _ = run;
        ::core::result::Result::Ok(Verdict)
    }
}

/// Counts, without a lock.
#[derive(Debug)]
pub struct Counter<T>(T);

#[::callbacks::callback_handler(events = mixed)]
impl<T: ::core::marker::Send + 'static> Counter<T> {
    fn on_opened(&mut self) {}

    fn on_question(&mut self) -> mixed::Answer {
        mixed::Answer::Fine
    }
}

#[::callbacks::callback_handler]
impl Clerk {
    #[cfg(any())]
    fn on_llm_request(&self) {}

    fn on_tool_request(&self) -> ::callbacks::Decision<::std::string::String, ::serde_json::Value> {
        ::callbacks::Decision::Continue
    }
}

fn main() {
    let callbacks = ::callbacks::Callbacks::new()
        .with::<office::Events, _>(Clerk)
        .with(Counter(1));
    let _ = callbacks.blocking().ask(mixed::Question { text: "?" });
    let _ = callbacks.blocking().emit(mixed::Opened {});
    let _ = callbacks.blocking().ask(office::Close {});
}
