//! What the compiler says to users. After a change of wording: `TRYBUILD=overwrite cargo test -p
//! callbacks-tests --test ui`, then read every changed `.stderr` as somebody new to the crate.

/// What must compile.
#[test]
fn pass() {
    trybuild::TestCases::new().pass("ui/pass/*.rs");
}

/// Messages in our own words. They are the same whatever the compiler.
#[test]
fn fail() {
    trybuild::TestCases::new().compile_fail("ui/fail/*.rs");
}

/// Messages in rustc's words, on the user's tokens.
#[rustversion::attr(not(stable(1.95)), ignore = "recorded with Rust 1.95")]
#[test]
fn rustc() {
    trybuild::TestCases::new().compile_fail("ui/rustc/*.rs");
}
