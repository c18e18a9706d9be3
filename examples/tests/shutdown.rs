//! The program that is interrupted leaves, whoever reads what it writes.
#![cfg(target_os = "linux")]

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};

/// The example, which cargo has built beside this test, with what it says.
fn started(stdout: impl Into<Stdio>) -> (Child, impl Iterator<Item = String>) {
    let deps = env::current_exe().unwrap();
    let target = deps.ancestors().nth(2).map(PathBuf::from).unwrap();
    let program = target.join("examples/shutdown");
    let mut command = Command::new(&program);
    let piped = command.stdout(stdout).stderr(Stdio::piped());
    let process = piped.spawn();
    let mut process = process.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let said: ChildStderr = process.stderr.take().unwrap();
    (process, BufReader::new(said).lines().map(Result::unwrap))
}

fn interrupt(process: &Child) {
    let process = process.id().to_string();
    let sent = Command::new("kill").args(["-INT", &process]).status();
    assert!(sent.unwrap().success());
}

/// A pipe with no room, that nobody reads.
fn full() -> (io::PipeReader, io::PipeWriter) {
    let (reader, mut writer) = io::pipe().unwrap();
    writer.write_all(&vec![b'.'; 64 * 1024]).unwrap();
    (reader, writer)
}

#[test]
fn all_is_told() {
    let (mut process, mut said) = started(Stdio::piped());
    let mut output = process.stdout.take().unwrap();
    assert_eq!(said.next().unwrap(), "Ctrl-C ends it");
    let mut begin = [0; 1024];
    output.read_exact(&mut begin).unwrap();
    interrupt(&process);
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!(said.last().unwrap(), "all is told");
    assert_eq!(rest.lines().last(), Some("ChatOpenAI ended: dropped"));
    assert_eq!(process.wait().unwrap().code(), Some(0));
}

#[test]
fn a_handler_that_hangs_is_given_up() {
    let (_reader, writer) = full();
    let (mut process, mut said) = started(writer);
    assert_eq!(said.next().unwrap(), "Ctrl-C ends it");
    interrupt(&process);
    assert_eq!(said.next().unwrap(), "Ctrl-C again ends it at once");
    let last = said.next().unwrap();
    assert!(last.starts_with("not told: "), "{last}");
    assert_eq!(process.wait().unwrap().code(), Some(1));
}

#[test]
fn who_asks_again_does_not_wait() {
    let (_reader, writer) = full();
    let (mut process, mut said) = started(writer);
    assert_eq!(said.next().unwrap(), "Ctrl-C ends it");
    interrupt(&process);
    assert_eq!(said.next().unwrap(), "Ctrl-C again ends it at once");
    interrupt(&process);
    assert_eq!(said.next().unwrap(), "ended at once");
    assert_eq!(process.wait().unwrap().code(), Some(1));
}
