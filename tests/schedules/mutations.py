#!/usr/bin/env python3
"""Breaks the rules of delivery on purpose, one at a time, and sees that random schedules find each.

    tests/schedules/mutations.py           # all
    tests/schedules/mutations.py 3         # one of them

A copy of the sources is changed, built and tested; what is built of libraries is shared.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
COPY = TARGET / "mutations"
# One that hangs is found, too.
SECONDS = 240

# Which rule is broken; where; what is written there, and what instead.
MUTATIONS = [
    ("what is queued is in order",
     "delivery/lane.rs", "self.jobs.pop_front()", "self.jobs.pop_back()"),
    ("queued jobs come after the inline handlers",
     "delivery/lane.rs", "released: false,", "released: true,"),
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
     "delivery/call.rs", "order.iter().position(|id| id == failed)",
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
     "delivery/dispatcher.rs", "entries.flat_map(move |entry| entry.sorts(event)",
     "entries.rev().flat_map(move |entry| entry.sorts(event)"),
    ("who cannot say stops",
     "delivery/asking.rs", "error => E::Reply::stop(&reason(error)),", "_ => continue,"),
    ("who is asked is done with what is queued",
     "delivery/asking.rs", "passes.then(|| place.sequencer.queued(self)).flatten()",
     "passes.then(|| place.sequencer.queued(self)).flatten().filter(|_| false)"),
    ("what is rewritten is what the next is asked about",
     "delivery/asking.rs", "let view = now.as_ref().map_or(given, E::Set::view);",
     "let view = given;"),
    ("an answer that is not honoured is a stop",
     "runs/asked.rs", 'Err(stop(self.core, reason.to_owned()).await)',
     "{ let _ = reason; Ok(self.core) }"),
]


def copied():
    """The sources, with the times of their files: what did not change is not built again."""
    shutil.rmtree(COPY, ignore_errors=True)
    ignored = shutil.ignore_patterns("target", ".git")
    shutil.copytree(ROOT, COPY, ignore=ignored, symlinks=True)


def is_found(test):
    command = f"cargo test -q --locked -p callbacks-tests --test {test} --".split()
    environment = os.environ | {"CARGO_TARGET_DIR": str(TARGET), "RUST_BACKTRACE": "0"}

    def run(arguments, timeout=None):
        return subprocess.run(command + arguments, cwd=COPY, env=environment, timeout=timeout,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    built = run(["--list"])
    if built.returncode:
        sys.exit(f"it does not compile:\n{built.stdout[-2000:]}")
    try:
        done = run([], SECONDS)
    except subprocess.TimeoutExpired:
        return "hangs"
    if not done.returncode:
        return None
    rules = done.stdout.rsplit("SEED=", 1)[-1].splitlines()
    return rules[1].split(": ")[0] if test == "schedules" and len(rules) > 1 else "fails"


def main():
    chosen = [int(number) for number in sys.argv[1:]] or range(1, len(MUTATIONS) + 1)
    copied()
    missed = []
    for number in chosen:
        rule, path, written, instead = MUTATIONS[number - 1]
        path = COPY / "callbacks" / "src" / path
        source = path.read_text()
        if source.count(written) != 1:
            sys.exit(f"{number}. {path.name} has {written!r} {source.count(written)} times")
        path.write_text(source.replace(written, instead))
        # What the rules do not speak of shows in the long run.
        found = is_found("schedules") or is_found("soak")
        path.write_text(source)
        print(f"{number:2}. {rule}: {f'found ({found})' if found else 'NOT FOUND'}", flush=True)
        if not found:
            missed.append(number)
    if missed:
        sys.exit(f"not found: {missed}")


main()
