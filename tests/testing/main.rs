//! The test kit: what it records, what it reports, and that it reports it.
#![allow(
    unreachable_pub,
    reason = "the events of a private set are as public as their module"
)]
#![allow(
    clippy::needless_raw_string_hashes,
    reason = "that is how `expect-test` writes what is expected"
)]

mod balance;
mod differences;
mod faulty;
mod recorder;

use std::panic::{AssertUnwindSafe, catch_unwind};

use callbacks::events::LlmNewToken;
use callbacks::testing::{Faulty, Recorder};
use callbacks::{Callbacks, EmitError, LlmResult, callback_events};
use callbacks_tests::{CHAIN, MODEL};
use expect_test::{Expect, expect};
use serde_json::{Value, json};

#[callback_events]
mod shop {
    pub struct Sold<'a> {
        pub item: &'a str,
        pub count: u32,
    }

    pub struct Closed;
}

/// A chain with a model in it.
async fn ask(callbacks: &Callbacks) -> Result<(), EmitError> {
    let chain = callbacks.chain_start(&CHAIN, json!("Why?")).name("planner");
    let chain = chain.await?;
    let prompts = || vec!["Why?".to_owned()];
    let model = chain.callbacks().llm_start(&MODEL, prompts).await?;
    model.new_token("Be").await?;
    model.new_token("cause").await?;
    model.end(LlmResult::from_text("Because")).await?;
    chain.end(Value::Null).await
}

/// What an assertion panics with.
fn panic_of(assertion: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(assertion)).expect_err("it does not hold");
    *panic.downcast::<String>().expect("a message")
}

fn check_panic(assertion: impl FnOnce(), expected: &Expect) {
    expected.assert_eq(&panic_of(assertion));
}

#[test]
fn all_of_it_can_be_shown() {
    let (faulty, stall) = Faulty::stall();
    let shown = format!(
        "{:?}\n{stall:?}\n{:?}\n{:?}",
        faulty.on::<LlmNewToken<'_>>(),
        Faulty::error("no").asynchronous(),
        Recorder::of::<shop::Events>(),
    );
    expect![[r#"
        Faulty(Fault { does: Stall, on: Interests(4), asynchronous: false, calls: 0 })
        Stall { stalled: 0 }
        Faulty(Fault { does: Error("no"), on: Interests(18446744073707978751), asynchronous: true, calls: 0 })
        Recorder { asynchronous: false, events: [] }"#]].assert_eq(&shown);
}
