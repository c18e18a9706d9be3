//! A process that leaves while handlers are busy leaves, whatever they do; and they get nothing more.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A process that is still there after this hangs.
const LONG: Duration = Duration::from_secs(60);
/// What a process says that was told to leave.
const CODE: i32 = 7;

fn leaves(case: &str, stdout: Stdio) -> Child {
    let mut leaves = Command::new(env!("CARGO_BIN_EXE_leaves"));
    let process = leaves.arg(case).stdout(stdout).spawn();
    process.expect("a process can be started")
}

/// How it left, if it did.
fn in_time(process: &mut Child) -> Option<ExitStatus> {
    let begin = Instant::now();
    while begin.elapsed() < LONG {
        if let Ok(Some(status)) = process.try_wait() {
            return Some(status);
        }
        thread::sleep(Duration::from_millis(5));
    }
    // It may be gone by now.
    let _ = process.kill();
    None
}

#[test]
fn processes_leave() {
    let both = ["queued: Why", "waited for: Why"];
    for (case, told) in [
        ("main returns", &both[..]),
        ("the runtime is dropped", &both),
        ("a task leaves", &both),
        ("a handler leaves", &both),
        ("a flush is given up", &both),
        ("a timeout is reached", &["late: Why"]),
    ] {
        let mut process = leaves(case, Stdio::piped());
        let status = in_time(&mut process);
        assert_eq!(status.and_then(|it| it.code()), Some(CODE), "{case}");
        let output = process.wait_with_output().expect("it has left");
        let output = String::from_utf8(output.stdout).expect("it writes text");
        let mut lines: Vec<_> = output.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, told, "{case}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn who_does_not_listen_to_ctrl_c_is_ended_by_it() {
    use std::io::{BufRead, BufReader};
    use std::os::unix::process::ExitStatusExt;

    // Whoever runs the tests in the background may have the signal ignored, by all that is started there.
    let process = Command::new("env")
        .arg("--default-signal=INT")
        .args([env!("CARGO_BIN_EXE_leaves"), "it is interrupted"])
        .stdout(Stdio::piped())
        .spawn();
    let mut process = process.expect("a process can be started");
    let output = process.stdout.take().expect("it is piped");
    let lines = BufReader::new(output).lines().map_while(Result::ok);
    let mut lines = lines.skip_while(|line| line != "ready");
    assert!(lines.next().is_some());
    let interrupt = Command::new("kill")
        .arg("-INT")
        .arg(process.id().to_string())
        .status();
    assert!(interrupt.expect("there is a `kill`").success());
    let status = in_time(&mut process).expect("it is ended");
    assert_eq!(status.signal(), Some(2), "{status:?}");
    assert_eq!(lines.next(), None);
}
