//! What the example prints.

use std::path::PathBuf;
use std::process::Command;

#[test]
fn library() {
    // Cargo has built it beside this test.
    let deps = std::env::current_exe().unwrap();
    let target = deps.ancestors().nth(2).map(PathBuf::from).unwrap();
    let program = target.join("examples").join("library");
    let output = Command::new(&program).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    assert!(output.status.success(), "{output:?}");
    let (client, server) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    );
    let lines = |output: &str, starts: &[&str]| {
        let mut rest = output;
        for start in starts {
            let at = rest
                .find(start)
                .unwrap_or_else(|| panic!("no {start}: {output}"));
            rest = &rest[at..];
        }
    };
    lines(
        &client,
        &[
            "> Reader",
            "> find",
            "1 of 2",
            "2 of 2",
            "< find",
            "< Reader",
            "└─ find",
        ],
    );
    lines(
        &server,
        &[
            "> find",
            "> Shelf",
            "< Shelf",
            "< find",
            "├─ Shelf",
            "└─ Shelf",
        ],
    );
}
