//! How whoever has an event set of their own tests its handlers at compile time: those that are right,
//! those that are not and what their authors read then, and what the attribute writes.

use std::env;
use std::process::Command;

use expect_test::expect_file;
use syn::{File, Item};

/// After a change of the set: `TRYBUILD=overwrite cargo test`, then read every changed `.stderr` as
/// somebody who has never seen it.
#[test]
fn messages() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/clerk.rs");
    cases.compile_fail("tests/ui/misspelt.rs");
    cases.compile_fail("tests/ui/no_verdict.rs");
}

/// After a change: `UPDATE_EXPECT=1 cargo test`. What `cargo expand` shows, in a target folder of its own,
/// for cargo holds the other one.
#[test]
fn expansion() {
    let target = env::current_exe().unwrap().with_file_name("expansions");
    let output = Command::new(env!("CARGO"))
        .args(["rustc", "--quiet", "--profile=check", "--example=clerk"])
        .args(["--", "-Zunpretty=expanded"])
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", target)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let expanded = String::from_utf8(output.stdout).unwrap();
    let file = syn::parse_file(&expanded).unwrap();
    let is_impl = |item: &Item| matches!(item, Item::Impl(_));
    let file = File {
        attrs: Vec::new(),
        items: file.items.into_iter().filter(is_impl).collect(),
        ..file
    };
    expect_file!["ui/clerk.expanded.rs"].assert_eq(&prettyplease::unparse(&file));
}
