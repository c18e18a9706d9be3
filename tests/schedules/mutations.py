#!/usr/bin/env python3
"""Breaks the rules of delivery on purpose, one at a time, and sees that random schedules find each.

    tests/schedules/mutations.py           # all
    tests/schedules/mutations.py 3         # one of them

A copy of the sources is changed, built and tested; what is built of libraries is shared.
"""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
COPY = TARGET / "mutations"
SOURCES = ROOT / "callbacks" / "src"
# One that hangs is found, too.
SECONDS = 240

# Which rule is broken; where; what is written there, and what instead.
MUTATIONS = [
    ("what is queued is in order",
     "delivery/line.rs", "self.slots.pop_front()", "self.slots.pop_back()"),
    ("queued jobs come after the inline handlers",
     "delivery/lane.rs", "let held = true;", "let held = false;"),
    ("children close before their parents",
     "runs/tree.rs", "keys.reverse();", "keys.rotate_left(1);"),
    ("an end that nobody waits for goes on",
     "runs/closing.rs", "set_off(closing, &self.node);", "drop(closing);"),
    ("an end comes after the start",
     "runs/closing.rs", "node.started.wait().await;", ""),
    ("nothing is delivered after the end",
     "runs/tree.rs", "self.closed.store(true, Ordering::SeqCst);",
     "self.closed.store(false, Ordering::SeqCst);"),
    ("the first that raises comes out",
     "delivery/aftermath.rs", "order.iter().position(|id| id == failed)",
     "order.iter().rev().position(|id| id == failed)"),
    ("starts and ends pass full queues",
     "delivery/delivering.rs", "if prepared.passes || queues.is_empty() {",
     "if queues.is_empty() {"),
    ("what is dropped is counted",
     "delivery/ledger.rs", "Fate::Lost => self.counts.dropped += 1,", "Fate::Lost => {}"),
    ("local handlers are not inherited",
     "delivery/registry.rs", "(None, Reach::Local) => Some(Arc::new(self.clone())),",
     "(None, Reach::Local) => None,"),
    ("what was put off comes before what comes after it",
     "delivery/emission.rs", "!callback::inside() && !self.sequencer.deferred.is_pending()",
     "!callback::inside()"),
    ("no handler is called inside another",
     "delivery/emission.rs", "!callback::inside() && !self.sequencer.deferred.is_pending()",
     "!self.sequencer.deferred.is_pending()"),
    ("what is over is forgotten",
     "runs/tree.rs", "node.forget();", ""),
    ("a handler has one lane, whichever sets it hears",
     "delivery/dispatcher.rs", "let id = Arc::as_ptr(&delivery).addr();",
     "let id = Arc::as_ptr(&delivery).addr() + S::METHODS.len();"),
    ("handlers are asked in the order of registration",
     "delivery/dispatcher.rs", "entries.flat_map(move |entry| entry.ways(event)",
     "entries.rev().flat_map(move |entry| entry.ways(event)"),
    ("who cannot say stops",
     "delivery/asking.rs", "error => E::Reply::stop(&reason(error)),", "_ => continue,"),
    ("who is asked is done with what is queued",
     "delivery/asking.rs", "passes.then(|| place.sequencer.drained(self)).flatten()",
     "passes.then(|| place.sequencer.drained(self)).flatten().filter(|_| false)"),
    ("what is rewritten is what the next is asked about",
     "delivery/asking.rs", "let view = now.as_ref().map_or(given, E::Set::view);",
     "let view = given;"),
    ("an answer that is not honoured is a stop",
     "runs/asked.rs", 'Ruling::Rewritten => not_honoured::<K>("decided on another input"),',
     "Ruling::Rewritten => return Ok(self.core),"),
    ("what is emitted in a run is told",
     "delivery/emission.rs", "Perhaps::new(heard.map(", "Perhaps::new(heard.filter(|_| false).map("),
    ("what is open refuses nothing",
     "delivery/sequencer.rs", "closed.is_some_and(|closed| closed.load(Ordering::SeqCst));",
     "closed.is_some();"),
    ("what is emitted inside a callback is told",
     "delivery/deferred.rs", "if closed.is_some_and(|closed| closed.load(Ordering::SeqCst)) {",
     "if closed.is_some() {"),
    ("a run is inside the one that it was started in",
     "info.rs", "self.parent().map(Self::id)", "self.parent().map(|_| self.root_id())"),
    ("a run that is closed with another is abandoned",
     "runs/tree.rs", "ErrorKind::Abandoned", "ErrorKind::Cancelled"),
    ("what is put off is held until the event around it has reached all",
     "delivery/deferred.rs", "queue.work.push(work(), held)", "queue.work.push(work(), false)"),
    ("what is lost is counted once",
     "delivery/ledger.rs", "Fate::Lost => self.counts.dropped += 1,",
     "Fate::Lost => self.counts.dropped += 100,"),
    ("failures are counted as such",
     "delivery/ledger.rs", "Trouble::Failed => &mut counts.failed,",
     "Trouble::Failed => &mut counts.timed_out,"),
    ("queues are bounded",
     "delivery/delivering.rs", "if prepared.passes || queues.is_empty() {", "if true {"),
    ("handlers do not wait for each other",
     "delivery/delivering.rs", "for others in join_all(waiting).await {",
     "for others in waiting { let others = others.await;"),
    ("a thread that waits calls plain methods itself",
     "delivery/delivering.rs", "let here = is_blocked() && !prepared.on_lanes;",
     "let here = is_blocked() && !prepared.on_lanes && false;"),
    ("a timeout ends the wait",
     "delivery/waiting.rs", "= (answered, timeout) else {",
     "= (answered, timeout.filter(|_| false)) else {"),
    ("a run is not over while one in it is closed with it",
     "runs/closing.rs", "let left = finish(&run.node, terminal).await;",
     "let node = run.node.clone(); let run = drop(run); let left = finish(&node, terminal).await;"),
]


def copied():
    """The sources, with the times of their files: what did not change is not built again."""
    shutil.rmtree(COPY, ignore_errors=True)
    ignored = shutil.ignore_patterns("target", ".git")
    shutil.copytree(ROOT, COPY, ignore=ignored, symlinks=True)


def run(arguments):
    """Its code and what it says. What it starts is in a group of its own, and is over when it is."""
    environment = os.environ | {"CARGO_TARGET_DIR": str(TARGET), "RUST_BACKTRACE": "0"}
    process = subprocess.Popen(["cargo", "test", "--locked"] + arguments, cwd=COPY, env=environment, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, start_new_session=True)
    try:
        said, _ = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
    return process.returncode, said


def clean(package, manifest):
    """To cargo, what was built of the copy looks like what is built of the sources, and the other way round where
    these are outside of the package."""
    subprocess.run(["cargo", "clean", "-q", "-p", package, "--manifest-path", manifest, "--target-dir", str(TARGET)],
                   cwd=ROOT, check=True)


def test_of(name):
    """The same for a test of the workspace, which has to compile."""
    arguments = ["-p", "callbacks-tests", "--test", name]
    code, said = run(arguments + ["--", "--list"])
    if code:
        sys.exit(f"it does not compile:\n{said[-2000:]}")
    return run(arguments)


def broken_in_schedules():
    """The rule that is broken in one of them, if there is any."""
    _, said = test_of("schedules")
    if "SEED=" in said:
        return said.rsplit("SEED=", 1)[-1].splitlines()[1].split(": ")[0].strip(' "')
    return None


def left_behind():
    """Whether something is, in the long run. Its schedules are others each time: a rule that only they see broken
    is found by luck, which does not count."""
    code, said = test_of("soak")
    return "something is left behind" if code > 0 and "SEED=" not in said else None


def broken_in_models():
    """The same of all interleavings of what is hard to hit."""
    clean("callbacks-models", "tests/models/Cargo.toml")
    code, said = run(["--manifest-path", "tests/models/Cargo.toml"])
    failed = [line.split()[1] for line in said.splitlines() if line.endswith("... FAILED")]
    return failed[0] if code and failed else None


def main():
    chosen = [int(number) for number in sys.argv[1:]] or range(1, len(MUTATIONS) + 1)
    for number, (_, path, written, _) in enumerate(MUTATIONS, 1):
        times = (SOURCES / path).read_text().count(written)
        if times != 1:
            sys.exit(f"{number}. {path} has {written!r} {times} times")
    copied()
    try:
        missed = [number for number in chosen if not is_found(number)]
    finally:
        clean("callbacks", "Cargo.toml")
        clean("callbacks-models", "tests/models/Cargo.toml")
    if missed:
        sys.exit(f"not found: {missed}")


def is_found(number):
    rule, path, written, instead = MUTATIONS[number - 1]
    path = COPY / "callbacks" / "src" / path
    source = path.read_text()
    path.write_text(source.replace(written, instead))
    # What the rules do not speak of shows in the long run, or where nothing is left to chance.
    found = broken_in_schedules() or left_behind() or broken_in_models()
    path.write_text(source)
    print(f"{number:2}. {rule}: {f'found ({found})' if found else 'NOT FOUND'}", flush=True)
    return found


main()
